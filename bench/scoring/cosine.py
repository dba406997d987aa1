"""Histograms of real-valued vectors, ranked by cosine: the reference that shows what binarising costs.

Cosines are counted in steps, so every tie-aware metric of bench/metrics.py applies unchanged; a step
is far finer than a Hamming distance of any code length in use.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.scoring.hamming import Histograms, Packed

STEPS = 1024  # of the cosine, from 1 down to -1
_PAIRS = 1 << 22  # query-item pairs in memory at once

Vectors = npt.NDArray[np.float32]  # (k, items): unit columns, so that it lies in memory as packed codes do


def pack_vectors(vectors: npt.NDArray[np.float32]) -> Vectors:
    """(n, k) vectors as (k, n) float32 unit columns; a zero vector stays one, orthogonal to all."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray((vectors / np.where(norms > 0, norms, 1)).T, dtype=np.float32)


def histograms(
    query: Vectors, database: Vectors, query_labels: Packed, database_labels: Packed
) -> Histograms:
    """Like :func:`bench.scoring.hamming.histograms`, over ``STEPS`` + 1 steps of the cosine."""
    queries, items = query.shape[1], database.shape[1]
    counts = np.zeros((queries, STEPS + 1, 2), dtype=np.uint32)
    gains = np.zeros((queries, STEPS + 1), dtype=np.uint64)
    grades = np.zeros((queries, 64 * len(query_labels) + 1), dtype=np.uint32)
    block = max(_PAIRS // max(items, 1), 1)
    for start in range(0, queries, block):
        rows = slice(start, min(start + block, queries))
        n = rows.stop - start
        cosine = query[:, rows].T @ database
        step = np.rint((1 - np.clip(cosine, -1, 1)) * (STEPS / 2)).astype(np.intp)
        shared = _shared_labels(query_labels[:, rows], database_labels)
        place = step + (STEPS + 1) * np.arange(n)[:, None]
        counts[rows, :, 0] = _count(place, None, n, STEPS + 1)
        counts[rows, :, 1] = _count(place, shared > 0, n, STEPS + 1)
        gains[rows] = _count(place, shared, n, STEPS + 1)
        width = grades.shape[1]
        grades[rows] = _count(shared + width * np.arange(n)[:, None], None, n, width)
    return Histograms(counts, gains, grades[:, : np.flatnonzero(grades.any(axis=0)).max(initial=0) + 1])


def _shared_labels(query: Packed, database: Packed) -> npt.NDArray[np.intp]:
    """(queries, items): how many labels a query and an item share."""
    shared = np.zeros((query.shape[1], database.shape[1]), dtype=np.intp)
    for q, d in zip(query, database, strict=True):
        shared += np.bitwise_count(q[:, None] & d)
    return shared


def _count(
    place: npt.NDArray[np.intp], weight: npt.NDArray[np.generic] | None, rows: int, width: int
) -> npt.NDArray[np.float64]:
    weights = None if weight is None else weight.ravel()
    counted = np.bincount(place.ravel(), weights, minlength=rows * width)
    return counted.astype(np.float64).reshape(rows, width)
