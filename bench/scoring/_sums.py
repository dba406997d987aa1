"""The sums from which scores follow, in one compiled pass over the counts of a search.

The formulas are those of :mod:`bench.scoring.ties`, where they are explained; a test holds the two together.
Import it inside functions only: numba takes a while.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.scoring._kernels import _compiled
from bench.scoring.ties import _EXACT, _HARMONIC

_EXPECTED, _BEST, _WORST, _CHANCE, _HITS = range(5)  # columns of sums


@_compiled()
def _harmonic(start: Any, terms: Any) -> Any:
    """H(start + terms) - H(start), as ``ties.harmonic``."""
    gap = 0.0
    if start + terms > _EXACT:
        low, high = max(start, _EXACT), start + terms
        a, b = 1 / low, 1 / high
        gap = np.log1p((high - low) * a)
        gap += (b - a) * (0.5 - (b + a) * (1 / 12 - (a * a + b * b) / 120))
    if start < _EXACT:
        gap += _HARMONIC[min(start + terms, _EXACT)] - _HARMONIC[start]
    return gap


@_compiled()
def _expected(n: Any, r: Any, before: Any, hits: Any, cut: Any) -> Any:
    """Expected sum of precisions at the hits of a group among the first ``cut`` items."""
    taken = min(max(cut - before, 0), n)
    if r == 0 or taken == 0:
        return 0.0
    m = (r - 1) / max(n - 1, 1)
    return (m * taken + (hits + 1 - m * (before + 1)) * _harmonic(before, taken)) * (r / n)


@_compiled()
def _run(r: Any, before: Any, hits: Any, cut: Any) -> Any:
    """The same sum for hits that follow one another."""
    taken = min(max(cut - before, 0), r)
    if taken == 0:
        return 0.0
    return taken + (hits - before) * _harmonic(before, taken)


@_compiled()
def at_cuts(counts: Any, cuts: Any, sums: Any) -> None:
    """Fill ``sums`` (R, 5, Q) for the first ``cuts`` (R,) items, int64; ``counts`` is (Q, D, 2) uint32."""
    for q in range(counts.shape[0]):
        size, total = np.int64(0), np.int64(0)
        for d in range(counts.shape[1]):
            size += counts[q, d, 0]
            total += counts[q, d, 1]
        for k in range(cuts.shape[0]):
            cut, before, hits = cuts[k], np.int64(0), np.int64(0)
            expected, best, worst, within = 0.0, 0.0, 0.0, 0.0
            for d in range(counts.shape[1]):
                n, r = np.int64(counts[q, d, 0]), np.int64(counts[q, d, 1])
                if before >= cut:
                    break
                if r > 0:
                    expected += _expected(n, r, before, hits, cut)
                    best += _run(r, before, hits, cut)
                    worst += _run(r, before + n - r, hits, cut)
                    within += r * (min(cut - before, n) / n)
                before += n
                hits += r
            sums[k, _EXPECTED, q] = expected
            sums[k, _BEST, q] = best
            sums[k, _WORST, q] = worst
            sums[k, _CHANCE, q] = _expected(size, total, np.int64(0), np.int64(0), cut)
            sums[k, _HITS, q] = within


@_compiled()
def discounted(counts: Any, gains: Any, grades: Any, discount: Any, gained: Any, best: Any) -> None:
    """Fill ``gained`` and ``best`` (Q,): expected and largest gain, discounted by rank up to ``discount``.

    ``counts`` is (Q, D, 2) uint32, ``gains`` (Q, D) uint64, ``grades`` (Q, G + 1) uint32.
    """
    limit = discount.shape[0] - 1
    for q in range(counts.shape[0]):
        before, total = np.int64(0), 0.0
        for d in range(counts.shape[1]):
            n = np.int64(counts[q, d, 0])
            if before >= limit:
                break
            if gains[q, d] > 0:
                total += np.int64(gains[q, d]) / n * (discount[min(before + n, limit)] - discount[before])
            before += n
        rank, most = np.int64(0), 0.0
        for grade in range(grades.shape[1] - 1, 0, -1):
            upto = min(rank + np.int64(grades[q, grade]), limit)
            most += grade * (discount[upto] - discount[rank])
            rank = upto
        gained[q], best[q] = total, most
