"""What a report needs of the histograms of one search, in one compiled pass.

The formulas are those of :mod:`bench.ties`, where they are explained; tests hold the two together. The
trap: most of the time is the logarithms, so groups without a relevant item, which add nothing, are
passed over.
"""

from __future__ import annotations

import numpy as np

from bench._kernels import _compiled
from bench.ties import _EXACT as EXACT
from bench.ties import _HARMONIC as HARMONIC


@_compiled()
def _harmonic(start, terms):  # type: ignore[no-untyped-def]
    """H(start + terms) - H(start), as ``bench.ties.harmonic``."""
    low, high = max(start, EXACT), max(start + terms, EXACT)
    a, b = 1.0 / low, 1.0 / high
    gap = np.log1p((high - low) * a) + (b - a) * (0.5 - (b + a) * (1 / 12 - (a * a + b * b) / 120))
    if start < EXACT:
        gap += HARMONIC[min(start + terms, EXACT)] - HARMONIC[start]
    return gap


@_compiled()
def search(counts, cuts, scores, hits):  # type: ignore[no-untyped-def]
    """Fill ``scores`` (Q,) and ``hits`` (Q, R) from ``counts`` (Q, D, 2) uint32 and ascending ``cuts`` (R,).

    A score is the expected AP, NaN without a relevant item; hits are those expected among the first
    ``cuts`` items. No cut may be above the number of items.
    """
    for q in range(counts.shape[0]):
        before, found, total, cut = np.int64(0), np.int64(0), 0.0, 0
        for d in range(counts.shape[1]):
            n, r = np.int64(counts[q, d, 0]), np.int64(counts[q, d, 1])
            if r > 0:
                m = (r - 1) / max(n - 1, np.int64(1))
                total += (m * n + (found + 1 - m * (before + 1)) * _harmonic(before, n)) * (r / n)
            while cut < cuts.shape[0] and cuts[cut] < before + n:
                hits[q, cut] = r / n * (cuts[cut] - before) + found
                cut += 1
            before += n
            found += r
        hits[q, cut:] = found
        scores[q] = total / found if found > 0 else np.nan
