"""Scores and curves from the histograms of one search, in one compiled pass.

The formulas are explained in :mod:`bench.scoring.ties`; tests hold the two together. The
trap: a logarithm per group is half of the time. Here a table of harmonic numbers serves, since its
differences, rounded to 2e-15, leave an error in a score that is below that of float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.scoring._kernels import _compiled


@lru_cache(maxsize=4)
def harmonic_numbers(items: int) -> npt.NDArray[np.float64]:
    """H(0) to H(items), summed in extended precision where the machine has it."""
    terms = 1 / np.arange(1, items + 1, dtype=np.longdouble)
    return np.concatenate([[0.0], np.cumsum(terms)]).astype(np.float64)


@_compiled()
def search(counts: Any, cuts: Any, harmonic: Any, scores: Any, hits: Any, radius: Any) -> int:
    """Fill ``scores`` (Q,), ``hits`` (Q, R) and ``radius`` (2, D); returns the queries with a relevant item.

    ``counts`` (Q, D, 2) is uint32, ``cuts`` (R,) ascend and none is above the number of items,
    ``harmonic`` are the numbers H up to that. A score is the expected AP, NaN without a relevant item;
    hits are those expected among the first ``cuts`` items; radius is the sum over the other queries of
    precision and recall within every radius, and must be given as zeros, or empty to be left out.
    """
    radii = radius.shape[1]
    within = np.empty((2, radii))
    queries = 0
    for q in range(counts.shape[0]):
        before, found, total, cut = np.int64(0), np.int64(0), 0.0, 0
        for d in range(counts.shape[1]):
            n, r = np.int64(counts[q, d, 0]), np.int64(counts[q, d, 1])
            if r > 0:
                m = (r - 1) / max(n - 1, np.int64(1))
                gap = harmonic[before + n] - harmonic[before]
                total += (m * n + (found + 1 - m * (before + 1)) * gap) * (r / n)
            while cut < cuts.shape[0] and cuts[cut] < before + n:
                hits[q, cut] = r / n * (cuts[cut] - before) + found
                cut += 1
            before += n
            found += r
            if radii:
                within[0, d] = found / max(before, np.int64(1))
                within[1, d] = found
        hits[q, cut:] = found
        if found == 0:
            scores[q] = np.nan
            continue
        scores[q] = total / found
        queries += 1
        for d in range(radii):
            radius[0, d] += within[0, d]
            radius[1, d] += within[1, d] / found
    return queries
