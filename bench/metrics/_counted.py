"""The scores of :mod:`bench.metrics` from histograms in one compiled pass, several times as fast.

The trap: sums are taken in another order, so the last bits differ from those without numba. A stored score is
therefore compared with a relative tolerance, never bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench import metrics
from bench.metrics import Metric, Values
from bench.scoring import hamming
from bench.scoring.hamming import Histograms

_COLUMNS = {"map": 0, "map:optimistic": 1, "map:pessimistic": 2, "chance": 3, "precision": 4, "recall": 4}
_KNOWN = {*_COLUMNS, "precision@r", "recall@r", "ndcg"}


def means(names: Iterable[str], hist: Histograms) -> dict[str, float]:
    """The means of metrics that histograms with grades give, as :func:`bench.metrics.means`."""
    asked = {name: metrics.parse_metric(name) for name in names}
    known = _KNOWN if hamming.kernels() else set()
    fast = {name: metric for name, metric in asked.items() if metric.key in known}
    slow = [name for name in asked if name not in fast]
    scores = metrics.means(slow, hist) if slow else {}
    kept = hist.relevant > 0
    if not (fast and kept.any()):
        return scores | dict.fromkeys(fast, float("nan"))
    return scores | {name: float(values[kept].mean()) for name, values in _values(fast, hist).items()}


def _values(asked: dict[str, Metric], hist: Histograms) -> dict[str, Values]:
    """Each metric for every query; anything where no item is relevant."""
    keys = {name: metric.key for name, metric in asked.items()}
    cut = {name: hist.items if m.at is None else min(m.at, hist.items) for name, m in asked.items()}
    sums = _sums_at({cut[name] for name, key in keys.items() if key in _COLUMNS}, hist)
    values: dict[str, Values] = {}
    for name, metric in asked.items():
        if metric.takes == "radius":
            near = hist.counts[:, : (metric.at or 0) + 1]
            items, hits = (near[:, :, i].sum(axis=1, dtype=np.int64) for i in (0, 1))
            values[name] = hits / np.maximum(items if keys[name] == "precision@r" else hist.relevant, 1)
        elif keys[name] == "ndcg":
            values[name] = _ndcg(hist, cut[name])
        else:
            divisors: dict[str, Any] = {"precision": cut[name], "recall": hist.relevant}
            most = divisors.get(keys[name], np.minimum(hist.relevant, cut[name]))
            values[name] = sums[cut[name]][_COLUMNS[keys[name]]] / np.maximum(most, 1)
    return values


def _sums_at(cuts: set[int], hist: Histograms) -> dict[int, Values]:
    """The sums (5, Q) at every cut."""
    from bench.scoring import _sums

    ascending = np.array(sorted(cuts), np.int64)
    sums = np.empty((len(cuts), 5, len(hist)))
    _sums.at_cuts(np.ascontiguousarray(hist.counts), ascending, sums)
    return dict(zip(ascending.tolist(), sums, strict=True))


def _ndcg(hist: Histograms, cut: int) -> Values:
    from bench.scoring import _sums

    assert hist.gains is not None and hist.grades is not None
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2.0, cut + 2)))])
    gained, best = np.empty(len(hist)), np.empty(len(hist))
    arrays = (np.ascontiguousarray(array) for array in (hist.counts, hist.gains, hist.grades))
    _sums.discounted(*arrays, discount, gained, best)
    return gained / np.where(best > 0, best, 1)
