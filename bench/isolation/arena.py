"""Memory that a process shares with its child: large arrays are written there once, and read where they lie.

It has slots for one array each. The child says which ones it still holds arrays in; the others are filled
anew. That may be believed: it is the child's own arrays that would change.

The traps: whatever is written here can be read by the child at once, so nothing may be blanked afterwards;
and the child could shorten an unsealed file, and thus kill whoever writes to it.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_SLOTS = 16  # a method that keeps more arrays is sent bytes
_APART = 1 << 36  # bytes from one slot to the next in the file, which takes memory only where it is written
_LEAST = 1 << 16  # bytes of an array: smaller ones are sent
_KEPT = 1 << 26  # bytes of a free slot that keeps its memory


@dataclass(slots=True)
class _Slot:
    memory: mmap.mmap
    address: int
    sent: bool = False
    free: bool = False


class Arena:
    """The side that writes. ``file`` is for the child; None where the system has no such memory."""

    def __init__(self) -> None:
        self.file = _sealed_file(_SLOTS * _APART)
        self._slots: list[_Slot] = []

    def close(self) -> None:
        """Give the memory back as soon as no array lies there."""
        if self.file is not None:
            os.close(self.file)
        self.file = None
        self._slots.clear()

    def empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A new array, which must be sent next, and not be read after that; here if it is large."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        slot = self._slot(size) if _LEAST <= size <= _APART else None
        if slot is None:
            return np.empty(shape, dtype)
        slot.free = slot.sent = False
        return np.frombuffer(slot.memory, np.uint8, size).view(dtype).reshape(shape)

    def _slot(self, size: int) -> _Slot | None:
        """The smallest free slot that has room, or else the largest, grown; or a new one, if there may be."""
        if self.file is None:
            return None
        free = sorted((len(slot.memory), n) for n, slot in enumerate(self._slots) if slot.free)
        fitting = [n for room, n in free if room >= size]
        if fitting:
            return self._slots[fitting[0]]
        number = free[-1][1] if free else len(self._slots)
        if number == _SLOTS:
            return None
        memory = _mapped(self.file, number, size, mmap.PROT_READ | mmap.PROT_WRITE)
        slot = _Slot(memory, _address(np.frombuffer(memory, np.uint8)))
        self._slots[number : number + 1] = [slot]
        return slot

    def sent(self, array: npt.NDArray[Any]) -> int | None:
        """The slot of an array, which is now the child's; None for an array that lies elsewhere."""
        address = _address(array)
        for number, slot in enumerate(self._slots):
            if slot.address == address and not slot.free:
                slot.sent = True
                return number
        return None

    def hold(self, held: object) -> None:
        """The child holds arrays in these slots alone, by its word: a list of numbers, if it is honest."""
        held = held if isinstance(held, list) else []
        for number, slot in enumerate(self._slots):
            if slot.sent and not slot.free and number not in held:
                slot.free = True
                if len(slot.memory) > _KEPT:
                    slot.memory.madvise(mmap.MADV_REMOVE)


class Lent:
    """The side that reads."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._memory: dict[int, mmap.mmap] = {}
        self._arrays: dict[int, weakref.ref[npt.NDArray[Any]]] = {}

    def array(self, number: int, size: int) -> npt.NDArray[np.uint8]:
        """The first bytes of a slot, which cannot be written."""
        if number not in self._memory or len(self._memory[number]) < size:
            self._memory[number] = _mapped(self._file, number, size, mmap.PROT_READ)
        array = np.frombuffer(self._memory[number], np.uint8, size)
        self._arrays[number] = weakref.ref(array)  # each view of it keeps it alive
        return array

    def held(self) -> list[int]:
        """The slots in which arrays lie that somebody still has."""
        return [number for number, array in self._arrays.items() if array() is not None]


def _sealed_file(size: int) -> int | None:
    """A file in memory whose size stays as it is, or None."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        file = os.memfd_create("hashbench", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(file, size)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:  # such files are forbidden, or limited in size
        return None
    return file


def _mapped(file: int, number: int, size: int, protection: int) -> mmap.mmap:
    whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE  # one call, instead of a page fault for every page
    return mmap.mmap(file, whole, flags, protection, offset=number * _APART)


def _address(array: npt.NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
