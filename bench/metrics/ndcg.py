"""Normalised discounted cumulative gain; an item's gain is the number of labels that it shares."""

from __future__ import annotations

import numpy as np

from bench.metrics import Ranking, Values, metric, ties


@metric(takes="R or nothing", needs="grades")
def ndcg(ranking: Ranking, cut: int | None) -> Values:
    """Expected normalised DCG; an item gains the number of labels it shares.

    The discount of rank j is log2(1 + j); the divisor is the DCG of the best order.
    """
    limit = ranking.size if cut is None else cut
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2.0, limit + 2)))])
    g = ranking.until(cut)
    assert g.gains is not None and g.grades is not None
    low = np.minimum(g.items_before, limit).astype(np.intp)
    high = np.minimum(g.items_before + g.items, limit).astype(np.intp)
    found = ties.row_sums(g.gains / np.maximum(g.items, 1) * (discount[high] - discount[low]))
    falling = g.grades[:, :0:-1]  # highest grade first, grade 0 left out
    ends = discount[np.minimum(falling.cumsum(axis=1), limit).astype(np.intp)]
    best = ties.row_sums(np.diff(ends, axis=1, prepend=0.0) * np.arange(falling.shape[1], 0, -1))
    return found / np.where(best > 0, best, 1)
