"""Histograms of queries that are numbers against codes that are bits: asymmetric distances.

An item stays a code of ``bits`` bits; only the query keeps its precision. Every asymmetric distance here is
a sum of looked-up values, one for each byte of the code, so that one loop serves all of them; the sum may be
multiplied by a factor that the last bits of the code hold. Distances are counted in 1024 steps, from the
least that any code could have to the greatest, and every tie-aware metric applies unchanged. The trap: the
steps of a query must not depend on the items, or the counts of two parts of a database could not be added.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from bench.contract.method import factor_bits
from bench.scoring.cosine import STEPS
from bench.scoring.hamming import Histograms, Packed, for_rows, kernels, relevance_numpy, to_bytes

_TABLES = 1 << 14  # tables of 1 kB each in memory at once

Asked = npt.NDArray[np.float32]  # (queries, up to bits) values, or (queries, M, 256) tables, M = ⌈bits / 8⌉
Tables = npt.NDArray[np.float32]  # (queries, M, 256)


def tables(asked: Asked, bits: int) -> Tables:
    """The number that each value of each byte of a code adds to the distance of each query.

    A table stays as it is. For values s the distance is minus their dot product with the first bits of the
    code: a byte adds ``-Σ s_j b_j`` over its bits b_j, -1 or +1.
    """
    if asked.ndim == 3:
        return asked
    queries, values = asked.shape
    padded = np.zeros((queries, -(-bits // 8), 2, 4), dtype=np.float32)
    padded.reshape(queries, -1)[:, :values] = asked
    halves = np.zeros((*padded.shape[:3], 16), dtype=np.float32)
    for bit, signs in enumerate(_signs()):  # in this order on every machine
        halves -= padded[..., bit, None] * signs
    return (halves[:, :, 0, :, None] + halves[:, :, 1, None, :]).reshape(queries, -1, 256)


@cache
def _signs() -> npt.NDArray[np.float32]:
    """(4, 16): bit j of every half of a byte as -1 or +1, the highest first."""
    ones = np.arange(16) >> np.arange(3, -1, -1)[:, None] & 1
    return (2 * ones - 1).astype(np.float32)


def histograms(
    query: Asked,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    *,
    bits: int,
    scaled: bool = False,
    threads: int | None = None,
) -> Histograms:
    """Like :func:`bench.scoring.hamming.histograms`, over ``STEPS`` + 1 steps of the distance.

    Step 0 is the least distance that a query could have to any code, the last step the greatest. ``scaled``
    distances are multiplied by the items' factors. The counts depend neither on the threads nor on the order
    of the database nor on numba.
    """
    octets = np.ascontiguousarray(to_bytes(database, bits).T)
    factor = factors(octets, bits) if scaled else np.ones(octets.shape[1])
    width = 1 + max(1, int(np.bitwise_count(query_labels).sum(axis=0, dtype=np.int64).max(initial=0)))
    queries = len(query)
    counts = np.zeros((queries, STEPS + 1, 2), np.uint32)
    gains = np.zeros((queries, STEPS + 1), np.uint64)
    grades = np.zeros((queries, width), np.uint32)
    compiled = kernels()
    fill = compiled.asymmetric if compiled else _histograms_numpy
    block = max(1, _TABLES // len(octets))

    def task(low: int, high: int) -> None:
        for start in range(low, high, block):
            rows = slice(start, min(start + block, high))
            added = tables(query[rows], bits)
            least, steps = _scale(added)
            fill(
                added,
                least,
                steps,
                octets,
                factor,
                np.ascontiguousarray(query_labels[:, rows]),
                database_labels,
                counts[rows],
                gains[rows],
                grades[rows],
            )

    for_rows(task, queries, threads)
    return Histograms(counts, gains, grades)


def factors(octets: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.float64]:
    """The factor (n,) from 0 to 1 in the last bits of codes whose bytes are ``octets`` (M, n)."""
    held = factor_bits(bits)
    first = max(len(octets) - 2, 0)  # the factor lies in the last two bytes
    last = np.unpackbits(octets[first:], axis=0, count=bits - 8 * first)[bits - 8 * first - held :]
    weights = 2.0 ** np.arange(held - 1, -1, -1)
    return np.asarray(weights @ last / max(weights.sum(), 1.0) if held else np.ones(octets.shape[1]))


def _scale(added: Tables) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The least distance of each query, and the steps in a distance of 1; 0 where all are equal."""
    least, most = (ends.sum(axis=1, dtype=np.float64) for ends in (added.min(axis=2), added.max(axis=2)))
    wide = most > least
    return least, np.where(wide, STEPS / np.where(wide, most - least, 1.0), 0.0)


def _histograms_numpy(
    added: Tables,
    least: npt.NDArray[np.float64],
    steps: npt.NDArray[np.float64],
    octets: npt.NDArray[np.uint8],
    factor: npt.NDArray[np.float64],
    query_labels: Packed,
    database_labels: Packed,
    counts: npt.NDArray[np.uint32],
    gains: npt.NDArray[np.uint64],
    grades: npt.NDArray[np.uint32],
) -> None:
    """The kernel ``asymmetric`` with numpy alone."""
    width = grades.shape[1]
    for row, table in enumerate(added):
        total = np.zeros(octets.shape[1])
        for values, bytes_ in zip(table, octets, strict=True):
            total += values[bytes_]
        step = np.rint((total * factor - least[row]) * steps[row]).clip(0, STEPS).astype(np.intp)
        shared = relevance_numpy(query_labels[:, row : row + 1], database_labels, width)[0]
        seen = np.bincount(step * width + shared, minlength=(STEPS + 1) * width).reshape(STEPS + 1, width)
        counts[row, :, 0], counts[row, :, 1] = seen.sum(axis=1), seen[:, 1:].sum(axis=1)
        gains[row], grades[row] = seen @ np.arange(width), seen.sum(axis=0)
