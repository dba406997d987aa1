"""Passes over matrices larger than memory.

The trap: the pages of a mapped file that were read count as memory of the process until they are let go.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_SCATTERED = 64  # chosen rows that are read together: each may bring a page of 2 MB into memory
_PAGE = 1 << 21  # bytes of the largest page
_SMALL = 1 << 28  # bytes of a map that may stay in memory: to let go of it costs time


def blocks(
    x: npt.NDArray[Any], values: int = 1 << 22, rows: npt.NDArray[np.intp] | None = None
) -> Iterator[npt.NDArray[Any]]:
    """Cut ``x`` (n, ...), or its ``rows`` (m,), into runs of rows of at most ``values`` values, or one row.

    If ``x`` lies in a file that is mapped read-only, the pages of a block leave memory before the next.
    """
    step = max(1, values // max(1, int(np.prod(x.shape[1:]))))
    if rows is not None:
        step = min(step, _SCATTERED)
    mapped = None if x.flags.writeable else _map(x)
    for start in range(0, len(x) if rows is None else len(rows), step):
        part = slice(start, start + step)
        yield x[part] if rows is None else x[rows[part]]
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


def gather(x: npt.NDArray[Any], rows: npt.NDArray[np.intp], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy ``rows`` (m,) of ``x`` (n, ...) into ``out`` (m, ...); pages of a large map leave memory again."""
    mapped = None if x.nbytes <= _SMALL else _map(x)
    if mapped is None:
        return np.take(x, rows, axis=0, out=out, mode="clip")
    first = x.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    order = np.argsort(rows)  # so that each step lets go of a small part of the file
    for start in range(0, len(rows), _SCATTERED):
        places = order[start : start + _SCATTERED]
        chosen = rows[places]
        out[places] = x[chosen]
        low = max(0, (first + int(chosen[0]) * x.strides[0]) // _PAGE - 1) * _PAGE
        high = first + (int(chosen[-1]) + 1) * x.strides[0] + _PAGE
        mapped.madvise(mmap.MADV_DONTNEED, low, min(high, len(mapped)) - low)
    return out


def _map(x: npt.NDArray[Any]) -> mmap.mmap | None:
    """The map that an array is a part of; None for others, and where pages cannot be let go."""
    owner: Any = x
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
