"""The indexes that are measured: our own scan, and those of faiss over binary codes.

Each holds item numbers from 0 as ids and returns the k nearest, distances first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.archive.codes import Bytes, faiss_index, faiss_module
from bench.scoring import hamming
from bench.scoring.hamming import Packed

Found = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]  # distances and item numbers (q, k); −1 where fewer


class Scan:
    """Every code is compared, by :mod:`bench.indexing._scan`."""

    def __init__(self, codes: Bytes, chunk: int) -> None:
        start = time.perf_counter()
        self._codes = _words(codes[: len(codes) - chunk])
        middle = time.perf_counter()
        self._codes = np.ascontiguousarray(
            np.concatenate([self._codes, _words(codes[len(codes) - chunk :])], axis=1)
        )
        end = time.perf_counter()
        self.build_seconds, self.add_seconds = end - start, end - middle
        self.bytes_per_item = self._codes.nbytes / len(codes)

    def settings(self) -> Iterator[str]:
        yield ""

    def search(self, queries: Bytes, k: int, threads: int) -> Found:
        from bench.indexing import _scan

        asked = _words(queries)
        distances, rows = (np.empty((len(queries), k), np.int64) for _ in range(2))
        hamming.for_rows(
            lambda low, high: _scan.nearest(asked, self._codes, low, high, distances, rows),
            len(queries),
            threads,
        )
        return distances, rows


class Faiss:
    """An index of faiss, built on one thread; ``kind`` as in :func:`bench.archive.codes.faiss_index`."""

    def __init__(self, kind: str, codes: Bytes, chunk: int) -> None:
        self._faiss, self.kind = faiss_module(), kind
        self._faiss.omp_set_num_threads(1)
        ids, old = np.arange(len(codes)), len(codes) - chunk
        start = time.perf_counter()
        self._index = faiss_index(codes, kind)
        if old:
            self._index.add_with_ids(codes[:old], ids[:old])
        middle = time.perf_counter()
        self._index.add_with_ids(codes[old:], ids[old:])
        end = time.perf_counter()
        self.build_seconds, self.add_seconds = end - start, end - middle
        self.bytes_per_item = self._faiss.serialize_index_binary(self._index).nbytes / len(codes)

    def settings(self) -> Iterator[str]:
        """Every setting from the cheapest on, each set before it is yielded."""
        inner = self._index if self.kind == "ivf" else self._faiss.downcast_IndexBinary(self._index.index)
        if self.kind == "flat":
            yield ""
        elif self.kind == "ivf":
            yield from _each("nprobe", _doubling(1, inner.nlist), inner)
        elif self.kind == "hnsw":
            yield from _each("efSearch", _doubling(16, 512), inner.hnsw)
        else:
            yield from _each("nflip", iter(range(3)), inner)

    def search(self, queries: Bytes, k: int, threads: int) -> Found:
        self._faiss.omp_set_num_threads(threads)
        distances, rows = self._index.search(queries, k)
        return distances, rows


KINDS: dict[str, Callable[[Bytes, int], Scan | Faiss]] = {
    "scan": Scan,
    **{
        kind: lambda codes, chunk, kind=kind: Faiss(kind, codes, chunk)  # type: ignore[misc]
        for kind in ("flat", "ivf", "hnsw", "multihash")
    },
}


def versions(kinds: Iterable[str]) -> dict[str, str]:
    """The version of what these kinds need; raises BenchError where it is not installed."""
    return {"faiss": str(faiss_module().__version__)} if set(kinds) - {"scan"} else {}


def _each(name: str, values: Iterator[int], target: Any) -> Iterator[str]:
    for value in values:
        setattr(target, name, value)
        yield f"{name}={value}"


def _doubling(first: int, last: int) -> Iterator[int]:
    """``first`` and its doubles below ``last``, then ``last``."""
    while first < last:
        yield first
        first *= 2
    yield last


def _words(codes: Bytes) -> Packed:
    """(n, b) bytes as (words, n) uint64: the order of bits does not matter to distances."""
    padded = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    padded[:, : codes.shape[1]] = codes
    return np.ascontiguousarray(padded.view(np.uint64).T)
