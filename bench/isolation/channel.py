"""Messages between two processes: JSON and arrays, in frames of checked sizes. Reading one runs no code.

A frame is the length of a header (8 bytes), the header (JSON), and the bytes of the arrays that it describes,
but for those that lie in memory that both share.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.isolation.arena import Arena, Lent

Arrays = Mapping[str, npt.NDArray[Any]]
_LENGTH = struct.Struct("<Q")
_HEADER = 1 << 26  # bytes of a header at most: state and codes are arrays
_DTYPE = re.compile(r"[<>|][biufc]\d{1,2}")


class MalformedError(Exception):
    """The other process sent bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A kind, values that JSON can hold, and arrays."""

    kind: str
    values: Mapping[str, Any]
    arrays: Arrays


class Channel:
    """One end of a connected pair of sockets. ``ours`` has arrays to send, and ``theirs`` received ones."""

    def __init__(self, end: socket.socket, *, ours: Arena | None = None, theirs: Lent | None = None) -> None:
        self._end, self._ours, self._theirs = end, ours, theirs
        self._lock = threading.Lock()  # a method's threads may print while it answers

    def send(self, kind: str, arrays: Arrays | None = None, **values: Any) -> None:
        """Send one message; ``values`` must be JSON."""
        plain, described = [], []
        for name, array in (arrays or {}).items():
            whole = array if array.flags.f_contiguous else np.ascontiguousarray(array)
            order = "C" if whole.flags.c_contiguous else "F"
            slot = None if self._ours is None else self._ours.sent(whole)
            described.append([name, whole.dtype.str, whole.shape, order, slot])
            if slot is None:
                plain.append(whole)
        header = json.dumps([kind, values, described]).encode()
        with self._lock:
            self._end.sendall(_LENGTH.pack(len(header)) + header)
            for array in plain:
                self._end.sendall(array.reshape(-1, order="A").view(np.uint8).data)

    def receive(self, *, most: int = 1 << 40, wait: Callable[[], None] = lambda: None) -> Message:
        """The next message, whose arrays have at most ``most`` bytes.

        ``wait`` is called before each read, and returns when there is something to read. Raises EOFError
        at the end of the connection, and :class:`MalformedError` where the bytes are no message.
        """
        try:
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size, wait).data)
            if length > _HEADER:
                raise MalformedError(f"a header of {length} bytes; expected at most {_HEADER}")
            kind, values, described = json.loads(bytes(self._read(length, wait)))
            if not isinstance(kind, str) or not isinstance(values, dict):
                raise MalformedError(f"a header of {type(kind).__name__} and {type(values).__name__}")
            sizes = [_size(dtype, shape) for _, dtype, shape, *_ in described]
            if sum(sizes) > most:
                raise MalformedError(f"arrays of {sum(sizes)} bytes; expected at most {most}")
            arrays = {}
            for size, (name, dtype, shape, order, slot) in zip(sizes, described, strict=True):
                data = self._read(size, wait) if slot is None else self._lent(slot, size)
                arrays[str(name)] = data.view(dtype).reshape(shape, order="F" if order == "F" else "C")
            return Message(kind, values, arrays)
        except (ValueError, TypeError, RecursionError) as error:
            raise MalformedError(f"{type(error).__name__}: {error}") from error

    def _lent(self, slot: Any, size: int) -> npt.NDArray[np.uint8]:
        if self._theirs is None:
            raise MalformedError("an array in shared memory; there is none")
        return self._theirs.array(slot, size)

    def _read(self, size: int, wait: Callable[[], None]) -> npt.NDArray[np.uint8]:
        data, have = np.empty(size, np.uint8), 0
        while have < size:
            wait()
            count = self._end.recv_into(data[have:].data)
            if not count:
                raise EOFError
            have += count
        return data


def _size(dtype: Any, shape: Any) -> int:
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise MalformedError(f"an array of {dtype!r}; expected plain numbers")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise MalformedError(f"an array of shape {shape!r}")
    return math.prod(shape) * np.dtype(dtype).itemsize
