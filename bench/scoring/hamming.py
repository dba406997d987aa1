"""Packs codes and labels, and counts per query how many items, and how many relevant ones, lie at
each Hamming distance: all that metrics without a tie order need. The trap: queries × database is
never held in memory, so everything here goes query by query.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.blocks import blocks
from bench.contract.items import Codes
from bench.errors import DataError, ParameterError

Packed = npt.NDArray[np.uint64]  # (words, items), C order: word w of all items is contiguous

__all__ = [
    "Histograms",
    "Packed",
    "collapsed",
    "distinct",
    "histograms",
    "pack_codes",
    "pack_labels",
    "unpack_codes",
]

_FEW = 4  # distinct codes: with fewer, items are hardly ranked
_MOST_BITS = 16_384  # distances, and keys made of them, fit 16 bits
_log = logging.getLogger(__name__)
_MIRRORED = np.packbits(
    np.arange(256, dtype=np.uint8)[:, None] >> np.arange(8) & 1, axis=1
).ravel()  # bytes, bits reversed
_PAIRS = 1 << 18  # query-item pairs that the path without numba has in memory at once


@dataclass(frozen=True)
class Histograms:
    """Items that Q queries have at each Hamming distance d = 0..bits. Every tie-aware metric follows.

    ``counts[q, d]`` is (items, relevant items) at distance d, uint32 (Q, bits + 1, 2). With
    grades, ``gains[q, d]`` is the sum of shared labels over the items at distance d, uint64
    (Q, bits + 1), and ``grades[q, g]`` the number of items that share g labels with the query,
    uint32 (Q, G + 1).
    """

    counts: npt.NDArray[np.uint32]
    gains: npt.NDArray[np.uint64] | None = None
    grades: npt.NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def bits(self) -> int:
        return int(self.counts.shape[1]) - 1

    @functools.cached_property
    def items(self) -> int:
        """Items in the database."""
        return int(self.counts[0, :, 0].sum()) if len(self) else 0

    @functools.cached_property
    def relevant(self) -> npt.NDArray[np.int64]:
        """Relevant items in the database, per query (Q,)."""
        relevant: npt.NDArray[np.int64] = self.counts[:, :, 1].sum(axis=1, dtype=np.int64)
        return relevant

    def __add__(self, other: Histograms) -> Histograms:
        """The histograms over two databases together, for the same queries."""
        return Histograms(
            self.counts + other.counts,
            None if self.gains is None or other.gains is None else self.gains + other.gains,
            None if self.grades is None or other.grades is None else _padded_sum(self.grades, other.grades),
        )

    def emptied(self) -> Histograms:
        """The histograms of the same queries over a database without items."""
        arrays = (self.counts, self.gains, self.grades)
        return Histograms(*(None if array is None else np.zeros_like(array) for array in arrays))  # type: ignore[arg-type]

    def take(self, rows: slice | npt.NDArray[Any]) -> Histograms:
        """The histograms of some of the queries."""
        return Histograms(
            self.counts[rows],
            None if self.gains is None else self.gains[rows],
            None if self.grades is None else self.grades[rows],
        )


def _padded_sum(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The sum of (Q, G) arrays of different G; missing columns count as 0."""
    if a.shape == b.shape:
        return a + b
    width = max(a.shape[1], b.shape[1])
    first, second = (np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (a, b))
    return first + second


def collapsed(codes: Packed, labels: Packed, bits: int) -> int:
    """The number of distinct codes where it is too small to rank items, below four and that of label sets.

    Else it is 0.
    """
    count = distinct(codes)
    return count if count < min(_FEW, 2**bits, distinct(labels)) else 0


def distinct(packed: Packed) -> int:
    """The number of different columns of packed codes or labels, counted up to four."""
    for count in range(_FEW):
        if not packed.shape[1]:
            return count
        packed = packed[:, (packed != packed[:, :1]).any(axis=0)]
    return _FEW


def pack_codes(codes: npt.ArrayLike) -> Packed:
    """Pack (n, bits) codes of two symbols, -1/+1 or 0/1 or bool, into (words, n) uint64.

    Bit b of an item is bit ``b % 64`` of word ``b // 64``; what fills up the last word is 0.

    >>> pack_codes(np.array([[1, -1, 1], [-1, -1, 1]], dtype=np.int8))
    array([[5, 4]], dtype=uint64)
    """
    array = np.asarray(codes)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"codes have shape {array.shape}; expected (items, bits). Give one row per item.")
    if array.dtype == np.bool_:
        return _pack_ones(array)
    if array.dtype.kind in "US" or not (_ones_and(-1, array) or _ones_and(0, array)):
        raise DataError(
            f"codes hold {_strangers(array)}; expected two symbols, -1 and +1 or 0 and 1. {_repair(array)}"
        )
    return _pack_ones(array)


def pack_bytes(codes: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Pack (n, bits) codes of -1/+1 into (n, bits / 8) bytes, as indexes of other libraries take them.

    Bit b of an item is bit ``7 - b % 8`` of byte ``b // 8``, as :func:`numpy.packbits` does it; what fills
    up the last byte is 0.

    >>> pack_bytes(np.array([[1, -1, 1], [-1, -1, 1]], dtype=np.int8))
    array([[160],
           [ 32]], dtype=uint8)
    """
    return np.packbits(np.asarray(codes) > 0, axis=1)


def _repair(array: npt.NDArray[Any]) -> str:
    """How to turn what is no code into codes; the sign of values that are never negative is always +1."""
    if array.dtype.kind not in "biuf":
        return "Convert them: codes.astype(float)."
    if np.isnan(array).any():
        return "Find out where NaN comes from, or leave those items out."
    low, high = array.min(), array.max()
    if array.shape[1] > 8 and low >= 0 and ((array == low) | (array == high)).all():
        return f"Compare them: codes == {high}."
    if array.dtype == np.uint8:
        return "If each byte holds eight bits, unpack them: np.unpackbits(codes, axis=1)."
    packed = ""
    if array.dtype.kind in "iu":
        bits = 8 * array.dtype.itemsize
        packed = (
            f"If each holds {bits} bits, unpack them: np.unpackbits(codes.view(np.uint8), axis=1). Else: "
        )
    if array.size and array.min() < 0:
        return f"{packed}Binarise with bench.api.sign, which maps 0 to +1."
    return (
        f"{packed}None is negative, so signs would all be +1: subtract a threshold first, then use "
        "bench.api.sign."
    )


def unpack_codes(packed: Packed, bits: int) -> Codes:
    """The (n, bits) int8 codes, -1 or +1, that :func:`pack_codes` packed."""
    ones = np.unpackbits(_octets(packed), axis=1, count=bits, bitorder="little")
    return (2 * ones.astype(np.int8) - 1).astype(np.int8)


def to_bytes(packed: Packed, bits: int) -> npt.NDArray[np.uint8]:
    """The bytes (n, bits / 8) of :func:`pack_bytes`, straight from codes that :func:`pack_codes` packed."""
    return _MIRRORED[_octets(packed)[:, : -(-bits // 8)]]


def _octets(packed: Packed) -> npt.NDArray[np.uint8]:
    """The bytes of packed codes, a row for every item, with the first bit lowest."""
    return np.ascontiguousarray(packed.T).astype("<u8", copy=False).view(np.uint8)


def pack_labels(labels: npt.ArrayLike, *, classes: int | None = None) -> Packed:
    """Pack labels into (words, n) uint64 masks; items that share a set bit are relevant.

    ``labels`` is (n, classes) of 0 and 1, or (n,) class numbers from 0. ``classes`` is the number
    of classes where class numbers alone do not tell it: masks that are compared need the same.
    """
    array = np.asarray(labels)
    if array.ndim == 1:
        return _pack_numbers(array, classes)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(
            f"labels have shape {array.shape}; expected (items, classes) of 0 and 1 "
            "or (items,) class numbers."
        )
    if not _ones_and(0, array):
        raise DataError(f"labels hold {_strangers(array)}; expected 0 and 1. Give a multi-hot matrix.")
    return _pack_ones(array)


def _ones_and(other: int, array: npt.NDArray[Any]) -> bool:
    """Whether every value is 1 or ``other``."""
    return all(bool(((block == 1) | (block == other)).all()) for block in blocks(array))


def _pack_ones(array: npt.NDArray[Any]) -> Packed:
    padded = np.zeros((len(array), -(-array.shape[1] // 64) * 8), np.uint8)
    start = 0
    for block in blocks(array):
        octets = np.packbits(block == 1, axis=1, bitorder="little")
        padded[start : start + len(block), : octets.shape[1]] = octets
        start += len(block)
    return np.ascontiguousarray(padded.view("<u8").T.astype(np.uint64, copy=False))


def _pack_numbers(numbers: npt.NDArray[Any], classes: int | None) -> Packed:
    if numbers.dtype.kind not in "iu" or (len(numbers) and numbers.min() < 0):
        raise DataError(
            f"class numbers hold {_strangers(numbers)}; expected whole numbers from 0. "
            "Give a multi-hot matrix where items have several labels or none: a row of zeros for -1."
        )
    needed = int(numbers.max()) + 1 if len(numbers) else 1
    classes = needed if classes is None else classes
    if needed > classes:
        raise DataError(f"class number {needed - 1} is outside the {classes} classes. Count classes from 0.")
    masks = np.zeros((-(-classes // 64), len(numbers)), np.uint64)
    word, bit = np.divmod(numbers.astype(np.int64), 64)
    masks[word, np.arange(len(numbers))] = np.uint64(1) << bit.astype(np.uint64)
    return masks


def _strangers(array: npt.NDArray[Any]) -> str:
    """Up to five of the values that an array of two symbols holds."""
    values = np.unique(array.astype(str) if array.dtype == object else array)
    shown = ", ".join(str(v) for v in values[:5].tolist())
    return f"the values {shown}{', ...' if len(values) > 5 else ''}"


def histograms(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    *,
    bits: int,
    graded: bool = False,
    threads: int | None = None,
) -> Histograms:
    """Count items and relevant items per query and distance, in one pass over the database.

    Arguments come from :func:`pack_codes` and :func:`pack_labels`; ``bits`` is the code length.
    ``graded`` also counts shared labels. ``threads=None`` takes what the process may use. The
    counts depend neither on the threads nor on the order of the database nor on numba.
    """
    check_packed(query, database, query_labels, database_labels, bits)
    queries = query.shape[1]
    width = 1 + (_most_labels(query_labels) if graded else 1)
    counts = np.zeros((queries, bits + 1, 2), np.uint32)
    gains = np.zeros((queries if graded else 0, bits + 1), np.uint64)
    grades = np.zeros((queries if graded else 0, width), np.uint32)
    compiled = kernels()
    fill = compiled.histograms if compiled else _histograms_numpy

    def task(low: int, high: int) -> None:
        fill(
            query, database, query_labels, database_labels, np.uint32(width), low, high, counts, gains, grades
        )

    for_rows(task, queries, threads)
    return Histograms(counts, gains if graded else None, grades if graded else None)


def _most_labels(labels: Packed) -> int:
    """The most labels that any item has, at least 1."""
    return max(1, int(np.bitwise_count(labels).sum(axis=0, dtype=np.int64).max(initial=0)))


def _histograms_numpy(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    width: np.uint32,
    low: int,
    high: int,
    counts: npt.NDArray[np.uint32],
    gains: npt.NDArray[np.uint64],
    grades: npt.NDArray[np.uint32],
) -> None:
    """What the kernel of the same name does, with numpy alone."""
    distances, grade = counts.shape[1], np.arange(int(width))
    step = max(1, _PAIRS // database.shape[1])
    for start in range(low, high, step):
        rows = np.arange(start, min(start + step, high))
        shared = relevance_numpy(query_labels[:, rows], database_labels, int(width))
        key = distances_numpy(query[:, rows], database).astype(np.intp) * int(width)
        key += shared
        key += (np.arange(len(rows)) * (distances * int(width)))[:, None]
        table = np.bincount(key.ravel(), minlength=len(rows) * distances * int(width))
        table = table.reshape(len(rows), distances, int(width))
        counts[rows, :, 0] = table.sum(axis=2)
        counts[rows, :, 1] = table[:, :, 1:].sum(axis=2)
        if len(gains):
            gains[rows] = table @ grade
            grades[rows] = table.sum(axis=1)


def distances_numpy(query: Packed, database: Packed) -> npt.NDArray[np.uint16]:
    """Hamming distances (q, n) of a few queries."""
    total = np.zeros((query.shape[1], database.shape[1]), np.uint16)
    for codes, items in zip(query, database, strict=True):
        total += np.bitwise_count(codes[:, None] ^ items)
    return total


def relevance_numpy(query_labels: Packed, database_labels: Packed, width: int) -> npt.NDArray[np.uint16]:
    """``min(shared labels, width - 1)``, (q, n), of a few queries."""
    shared = np.zeros((query_labels.shape[1], database_labels.shape[1]), np.uint16)
    for mine, theirs in zip(query_labels, database_labels, strict=True):
        both = mine[:, None] & theirs
        if width == 2:
            shared |= both != 0
        else:
            shared += np.bitwise_count(both)
    return shared


def check_packed(
    query: Packed, database: Packed, query_labels: Packed, database_labels: Packed, bits: int
) -> None:
    """Raise :class:`DataError` where packed arrays do not fit together."""
    named = {
        "query": query,
        "database": database,
        "query_labels": query_labels,
        "database_labels": database_labels,
    }
    for name, array in named.items():
        if array.ndim != 2 or array.dtype != np.uint64 or not array.flags.c_contiguous:
            raise DataError(
                f"{name} is {array.dtype} of shape {array.shape}; expected contiguous (words, items) uint64. "
                "Use pack_codes or pack_labels."
            )
    if not 1 <= bits <= _MOST_BITS:
        raise DataError(f"codes have {bits} bits; expected 1 to {_MOST_BITS}.")
    words = -(-bits // 64)
    for codes, labels in (("query", "query_labels"), ("database", "database_labels")):
        if named[codes].shape[0] != words:
            raise DataError(f"{codes} has {named[codes].shape[0]} words; expected {words} for {bits} bits.")
        if named[codes].shape[1] != named[labels].shape[1]:
            raise DataError(
                f"{codes} has {named[codes].shape[1]} codes and {named[labels].shape[1]} rows of labels; "
                "expected as many. Give both for the same items."
            )
    if query_labels.shape[0] != database_labels.shape[0]:
        raise DataError(
            f"query and database labels have {query_labels.shape[0]} and {database_labels.shape[0]} words; "
            "expected the same classes on both sides."
        )
    if database.shape[1] == 0:
        raise DataError("the database has no items; expected at least one.")


def for_rows(task: Callable[[int, int], None], rows: int, threads: int | None) -> None:
    """Run ``task(low, high)`` over all rows in blocks, on threads: the kernels let go of the GIL.

    Python's own threads rather than numba's: nothing global to set and restore, nothing left
    spinning, and a process that forks later is safe.
    """
    threads = usable_threads() if threads is None else threads
    if not isinstance(threads, (int, np.integer)) or threads < 1:
        raise ParameterError(f"threads must be at least 1; got {threads!r}.")
    step = max(1, min(64, -(-rows // (4 * threads))))
    lows = range(0, rows, step)
    highs = [min(low + step, rows) for low in lows]
    if threads == 1 or len(lows) <= 1:
        for low, high in zip(lows, highs, strict=True):
            task(low, high)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(task, lows, highs))


def usable_threads() -> int:
    """CPUs this process may use, or OMP_NUM_THREADS if that is fewer (worker processes set it)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cpus, int(limit))) if limit.isdecimal() else cpus


def kernels() -> ModuleType | None:
    """The compiled kernels; None where numba is absent or BENCH_NO_NUMBA=1."""
    if os.environ.get("BENCH_NO_NUMBA", "0") not in ("", "0"):
        return None
    return _load_kernels()


@functools.cache
def _load_kernels() -> ModuleType | None:
    try:
        from bench.scoring import _kernels
    except ImportError as error:
        _log.warning("numba cannot be used (%s): searching runs on numpy alone, some ten times slower", error)
        return None
    return _kernels
