"""Arrays in memory that another process can map read-only: it is shown them, and nothing around them.

The trap: memory is never used twice, since the other process may keep what it was shown.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

_SMALL = 1 << 16  # bytes: below this a message holds the array itself
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)  # pages are mapped before the clock starts


class _Mapping(mmap.mmap):
    """Memory with its file, which has no name."""

    file: int

    def __del__(self) -> None:
        os.close(self.file)


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros; a large one lies in shared memory."""
    count = int(np.prod(shape, dtype=np.int64))
    size = count * np.dtype(dtype).itemsize
    if size < _SMALL:
        return np.zeros(shape, dtype)
    file = _new_file()
    os.ftruncate(file, size)
    mapping = _Mapping(file, size)
    mapping.file = file
    return np.frombuffer(mapping, dtype).reshape(shape)


def file_of(array: npt.NDArray[Any]) -> int | None:
    """The file of an array that :func:`empty` put into shared memory; None for any other array."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if (
            owner.base is not None
            and isinstance(owner.base, np.ndarray)
            and owner.nbytes != owner.base.nbytes
        ):
            return None  # a part of one
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    return owner.file if isinstance(owner, _Mapping) and array.flags.c_contiguous else None


def opened(file: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The array in a file that another process sent, which is closed; it cannot be written to."""
    try:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        mapping = mmap.mmap(file, size, flags=mmap.MAP_SHARED | _POPULATE, prot=mmap.PROT_READ)
    finally:
        os.close(file)
    return np.frombuffer(mapping, dtype).reshape(shape)


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("hashbench")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
