"""Messages between two processes: JSON and arrays, in frames of checked sizes. Reading one runs no code.

A frame is the length of a header (8 bytes), the header (JSON), and the bytes of the arrays that it describes.
Arrays in shared memory (:mod:`bench.isolation.memory`) travel as files.
"""

from __future__ import annotations

import json
import math
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.isolation import memory

Arrays = Mapping[str, npt.NDArray[Any]]
_LENGTH = struct.Struct("<Q")
_HEADER = 1 << 26  # bytes of a header at most: state and codes are arrays
_FILES = 64  # of one message at most
_DTYPE = re.compile(r"[<>|][biufc]\d{1,2}")


class MalformedError(Exception):
    """The other process sent bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is said, with values that JSON can hold, and arrays."""

    kind: str
    values: Mapping[str, Any]
    arrays: Arrays


class Channel:
    """One end of a connected pair of sockets."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._lock = threading.Lock()  # a method's threads may print while it answers

    def send(self, kind: str, arrays: Arrays | None = None, **values: Any) -> None:
        """Send one message; ``values`` must be JSON."""
        plain, files, described = [], [], []
        for name, array in (arrays or {}).items():
            file = memory.file_of(array)
            if file is None:
                array = np.ascontiguousarray(array) if not array.flags.f_contiguous else array
                plain.append(array)
            else:
                files.append(file)
            order = "C" if array.flags.c_contiguous else "F"
            described.append([name, array.dtype.str, array.shape, order, file is not None])
        header = json.dumps([kind, values, described]).encode()
        with self._lock:
            length = _LENGTH.pack(len(header))
            if files:
                socket.send_fds(self.end, [length], files)
            else:
                self.end.sendall(length)
            self.end.sendall(header)
            for array in plain:
                self.end.sendall(array.reshape(-1, order="A").view(np.uint8).data)

    def receive(
        self, *, most: int = 1 << 40, files: bool = False, wait: Callable[[], None] | None = None
    ) -> Message:
        """The next message. ``most`` limits the bytes of its arrays, and only ``files`` admits shared memory.

        ``wait`` is called before each read, and returns when there is something to read. Raises EOFError
        at the end of the connection, and :class:`MalformedError` where the bytes are no message.
        """
        read = _Reader(self.end, wait or (lambda: None))
        received: list[int] = []
        try:
            (length,) = _LENGTH.unpack(read.length(received if files else None))
            if length > _HEADER:
                raise MalformedError(f"a header of {length} bytes; expected at most {_HEADER}")
            kind, values, described = json.loads(read.some(length))
            if not isinstance(kind, str) or not isinstance(values, dict):
                raise MalformedError(f"a header of {type(kind).__name__} and {type(values).__name__}")
            arrays, total = {}, 0
            for name, dtype, shape, order, shared in described:
                size = _size(dtype, shape)
                total += size
                if total > most:
                    raise MalformedError(f"arrays of {total} bytes and more; expected at most {most}")
                if shared:
                    arrays[str(name)] = memory.opened(received.pop(0), tuple(shape), dtype)
                else:
                    data = np.frombuffer(read.some(size), dtype)
                    arrays[str(name)] = data.reshape(shape, order="F" if order == "F" else "C")
            return Message(kind, values, arrays)
        except (ValueError, TypeError, IndexError, RecursionError) as error:
            raise MalformedError(f"{type(error).__name__}: {error}") from error
        finally:
            for file in received:
                os.close(file)


class _Reader:
    def __init__(self, end: socket.socket, wait: Callable[[], None]) -> None:
        self.end, self.wait = end, wait

    def length(self, received: list[int] | None) -> bytes:
        """The first bytes of a frame, with which files arrive."""
        if received is None:
            return bytes(self.some(_LENGTH.size))
        data, files, *_ = socket.recv_fds(self.end, _LENGTH.size, _FILES)
        received += files
        if not data:
            raise EOFError
        return data + bytes(self.some(_LENGTH.size - len(data)))

    def some(self, size: int) -> bytearray:
        data, have = bytearray(size), 0
        view = memoryview(data)
        while have < size:
            self.wait()
            got = self.end.recv_into(view[have:])
            if not got:
                raise EOFError
            have += got
        return data


def _size(dtype: Any, shape: Any) -> int:
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise MalformedError(f"an array of {dtype!r}; expected plain numbers")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise MalformedError(f"an array of shape {shape!r}")
    return math.prod(shape) * np.dtype(dtype).itemsize
