"""The scores of :mod:`bench.metrics` from histograms in one compiled pass, several times as fast.

The trap: sums are taken in another order, so the last bits differ from those without numba. A stored score is
therefore compared with a relative tolerance, never bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.metrics import Metric
from bench.scoring import hamming
from bench.scoring.hamming import Histograms

Values = npt.NDArray[np.float64]
_COLUMNS = {"map": 0, "map:optimistic": 1, "map:pessimistic": 2, "chance": 3, "precision": 4, "recall": 4}


def means(names: Iterable[str], hist: Histograms) -> dict[str, float]:
    """The means of metrics that histograms with grades give, as :func:`bench.metrics.means`."""
    asked = {name: metrics.parse_metric(name) for name in names}
    known = {*_COLUMNS, "precision@r", "recall@r", "ndcg"} if hamming.kernels() else set()
    fast = {name: metric for name, metric in asked.items() if metric.key in known}
    found = metrics.means(asked.keys() - fast.keys(), hist)
    relevant = hist.relevant > 0
    for name, values in _values(fast, hist).items() if fast else ():
        found[name] = float(values[relevant].mean()) if relevant.any() else float("nan")
    return found


def _values(asked: dict[str, Metric], hist: Histograms) -> dict[str, Values]:
    """Each metric for every query; anything where no item is relevant."""
    from bench.storing import _sums

    counts, relevant = hist.counts.astype(np.int64), hist.relevant
    cut = {name: hist.items if m.at is None else min(m.at, hist.items) for name, m in asked.items()}
    cuts = np.unique([cut[name] for name, m in asked.items() if m.key in _COLUMNS]).astype(np.int64)
    sums = np.empty((len(hist), len(cuts), 5))
    _sums.at_cuts(counts, cuts, sums)
    found = {}
    for name, metric in asked.items():
        if metric.takes == "radius":
            items, hits = (counts[:, : (metric.at or 0) + 1, i].sum(axis=1) for i in (0, 1))
            found[name] = hits / np.maximum(items if metric.key == "precision@r" else relevant, 1)
        elif metric.key == "ndcg":
            found[name] = _ndcg(hist, counts, cut[name])
        else:
            divisors: dict[str, Any] = {"precision": cut[name], "recall": relevant}
            most = divisors.get(metric.key, np.minimum(relevant, cut[name]))
            column = sums[:, np.searchsorted(cuts, cut[name]), _COLUMNS[metric.key]]
            found[name] = column / np.maximum(most, 1)
    return found


def _ndcg(hist: Histograms, counts: npt.NDArray[np.int64], cut: int) -> Values:
    from bench.storing import _sums

    assert hist.gains is not None and hist.grades is not None
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2.0, cut + 2)))])
    found, best = np.empty(len(hist)), np.empty(len(hist))
    gains, grades = hist.gains.astype(np.int64), hist.grades.astype(np.int64)
    _sums.discounted(counts, gains, grades, discount, found, best)
    return found / np.where(best > 0, best, 1)
