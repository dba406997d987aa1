"""The sums from which scores follow, in one compiled pass over the counts of a search.

The formulas are those of :mod:`bench.scoring.ties`, where they are explained; a test holds the two together.
Import it through bench.storing.means only.
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
def _expected(n: Any, r: Any, before: Any, found: Any, cut: Any) -> Any:
    """Expected sum of precisions at the hits of a group among the first ``cut`` items."""
    taken = min(max(cut - before, 0), n)
    if r == 0 or taken == 0:
        return 0.0
    m = (r - 1) / max(n - 1, 1)
    return (m * taken + (found + 1 - m * (before + 1)) * _harmonic(before, taken)) * (r / n)


@_compiled()
def _run(r: Any, before: Any, found: Any, cut: Any) -> Any:
    """The same sum for hits that follow one another."""
    taken = min(max(cut - before, 0), r)
    if taken == 0:
        return 0.0
    return taken + (found - before) * _harmonic(before, taken)


@_compiled()
def at_cuts(counts: Any, cuts: Any, sums: Any) -> None:
    """Fill ``sums`` (Q, R, 5) for the first ``cuts`` (R,) items; ``counts`` is (Q, D, 2), both int64."""
    for q in range(counts.shape[0]):
        size, total = 0, 0
        for d in range(counts.shape[1]):
            size += counts[q, d, 0]
            total += counts[q, d, 1]
        for k in range(cuts.shape[0]):
            cut, before, found = cuts[k], 0, 0
            sums[q, k] = 0.0
            sums[q, k, _CHANCE] = _expected(size, total, 0, 0, cut)
            for d in range(counts.shape[1]):
                n, r = counts[q, d, 0], counts[q, d, 1]
                if n == 0:
                    continue
                if before >= cut:
                    break
                sums[q, k, _EXPECTED] += _expected(n, r, before, found, cut)
                sums[q, k, _BEST] += _run(r, before, found, cut)
                sums[q, k, _WORST] += _run(r, before + n - r, found, cut)
                sums[q, k, _HITS] += r * (min(cut - before, n) / n)
                before += n
                found += r


@_compiled()
def discounted(counts: Any, gains: Any, grades: Any, discount: Any, found: Any, best: Any) -> None:
    """Fill ``found`` and ``best`` (Q,): expected and largest gain, discounted by rank up to ``discount``."""
    limit = discount.shape[0] - 1
    for q in range(counts.shape[0]):
        before, total = 0, 0.0
        for d in range(counts.shape[1]):
            n = counts[q, d, 0]
            if before >= limit:
                break
            if gains[q, d] > 0:
                total += gains[q, d] / n * (discount[min(before + n, limit)] - discount[before])
            before += n
        found[q], rank, total = total, 0, 0.0
        for grade in range(grades.shape[1] - 1, 0, -1):
            upto = min(rank + grades[q, grade], limit)
            total += grade * (discount[upto] - discount[rank])
            rank = upto
        best[q] = total
