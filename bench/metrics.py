"""Retrieval metrics from per-query histograms over Hamming distance, exact under ties.

Items at the same distance have no order. Every metric here is therefore the expectation over all
orders of tied items, in closed form, or a bound over them; it depends on the codes only, never on
how the database is stored. Metrics that do depend on an order are in bench.scoring.compat. The trap: a
query without a relevant item has no value (NaN). It is left out of means, and must be reported.

May import: errors, scoring.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.errors import DataError, ParameterError, UnknownNameError
from bench.scoring import compat
from bench.scoring.compat import Orders
from bench.scoring.hamming import Histograms, Packed, histograms, pack_codes, pack_labels
from bench.scoring.ties import (
    Ranking,
    Values,
    best_precisions,
    expected_precisions,
    precisions_per_hit,
    row_sums,
    worst_precisions,
)

__all__ = [
    "METRICS",
    "Metric",
    "empty_queries",
    "evaluate",
    "evaluate_packed",
    "mean",
    "means",
    "parse_metric",
    "per_query",
    "pr_curve",
]

_BLOCK = 512  # queries worked on at once: what lies in between stays in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """An entry of METRICS, or a request for one: ``map@50:hits`` is the entry ``map:hits`` at 50.

    ``compute(source, at)`` gives the value of every query, from a :class:`bench.scoring.ties.Ranking`, or
    from :class:`bench.scoring.compat.Orders` where ``needs`` is "order".
    """

    key: str
    description: str
    compute: Callable[..., Values]
    takes: Literal["nothing", "R or nothing", "R", "radius"] = "nothing"  # what may follow the @
    needs: Literal["histogram", "grades", "order"] = "histogram"
    average: Callable[[Values], float] | None = None  # None: over queries that have a value
    higher_is_better: bool = True
    at: int | None = None

    @property
    def form(self) -> str:
        """How it is asked for: ``map[@R]:hits``."""
        base, colon, variant = self.key.removesuffix("@r").partition(":")
        cut = {"nothing": "", "R or nothing": "[@R]", "R": "@R", "radius": "@rRADIUS"}[self.takes]
        return base + cut + colon + variant

    @property
    def cutoff(self) -> int | None:
        """R, where the request has one."""
        return None if self.takes == "radius" else self.at


def parse_metric(name: str) -> Metric:
    """Read ``NAME``, ``NAME@R`` or ``NAME@rRADIUS``, each with ``:VARIANT`` or without.

    >>> parse_metric("map@50:hits").cutoff
    50
    >>> parse_metric("precision@r2").form
    'precision@rRADIUS'
    """
    form = re.fullmatch(r"([a-z0-9_]+)(?:@(r?)([0-9]+))?(?::([a-z0-9_]+))?", name)
    if form is None:
        raise ParameterError(
            f"metric {name!r} is not NAME, NAME@R or NAME@R:VARIANT. Try map, map@50 or precision@r2."
        )
    base, radius, number, variant = form.groups()
    key = base + ("@r" if radius else "") + (f":{variant}" if variant else "")
    if key not in METRICS:
        raise UnknownNameError("metric", key, METRICS)
    metric = METRICS[key]
    if number is None and metric.takes in ("nothing", "R or nothing"):
        return metric
    if number is None or metric.takes == "nothing" or (int(number) == 0 and not radius):
        raise ParameterError(
            f"metric {name!r} is not of the form {metric.form}, with R a positive whole number."
        )
    return replace(metric, at=int(number))


def per_query(name: str, source: Histograms | Orders) -> Values:
    """The metric for every query, float64 (Q,); NaN for a query without a relevant item.

    ``source`` is a Histograms, or a :class:`bench.scoring.compat.Orders` for metrics that need an order;
    those give such queries what the original gives them. An R larger than the database is taken
    as the size of the database.
    """
    return _values([parse_metric(name)], source)[0]


def mean(name: str, source: Histograms | Orders) -> float:
    """The mean over queries with a relevant item; NaN if there is none.

    A metric of bench.scoring.compat is averaged the way the code does that it is named after.
    """
    metric = parse_metric(name)
    return _average(metric, _values([metric], source)[0])


def means(names: Iterable[str], hist: Histograms, orders: Orders | None = None) -> dict[str, float]:
    """The means of several metrics: cheaper than one after the other."""
    asked = {name: parse_metric(name) for name in names}
    found: dict[Metric, Values] = {}
    for source in (hist, orders):
        metrics = [m for m in asked.values() if (m.needs == "order") == (source is orders)]
        if metrics:
            found |= zip(metrics, _values(metrics, source), strict=True)
    return {name: _average(metric, found[metric]) for name, metric in asked.items()}


def empty_queries(hist: Histograms) -> int:
    """Queries without a relevant item, which no mean contains."""
    return int(np.count_nonzero(hist.relevant == 0))


def pr_curve(hist: Histograms) -> tuple[Values, Values]:
    """Precision and recall within radius 0..bits, each (bits + 1,), mean over queries.

    Queries without a relevant item are left out. One that finds nothing within a radius has
    precision 0 there, as in ``precision@r2``. All is NaN where no query is left.
    """
    precision, recall = np.zeros(hist.bits + 1), np.zeros(hist.bits + 1)
    queries = 0
    for start in range(0, len(hist), _BLOCK):
        counts = hist.counts[start : start + _BLOCK]
        counts = counts[counts[:, :, 1].any(axis=1)]
        items, hits = (counts[:, :, column].cumsum(axis=1, dtype=np.int64) for column in (0, 1))
        precision += (hits / np.maximum(items, 1)).sum(axis=0)
        recall += (hits / hits[:, -1:]).sum(axis=0)
        queries += len(counts)
    scale = 1 / queries if queries else np.nan
    return precision * scale, recall * scale


def evaluate(
    query_codes: npt.ArrayLike,
    database_codes: npt.ArrayLike,
    query_labels: npt.ArrayLike,
    database_labels: npt.ArrayLike,
    metrics: Sequence[str] = ("map", "map:pessimistic", "map:optimistic", "chance"),
    threads: int | None = None,
) -> dict[str, float]:
    """Metrics of anyone's codes, without the rest of the harness.

    Codes are (n, bits) of two symbols: -1/+1, 0/1 or bool. Labels are (n, classes) of 0 and 1, or
    (n,) class numbers from 0. Returns the means by name, and ``empty_queries``.

    >>> codes = np.array([[1, 1], [1, -1], [-1, -1]])
    >>> evaluate(codes[:1], codes, [0], [0, 0, 1], metrics=["map"])
    {'map': 1.0, 'empty_queries': 0}
    """
    packed = pack_codes(query_codes), pack_codes(database_codes)
    bits, other = np.shape(query_codes)[1], np.shape(database_codes)[1]
    if bits != other:
        raise DataError(f"query codes have {bits} bits and database codes {other}; expected the same length.")
    masks = _pack_both(np.asarray(query_labels), np.asarray(database_labels))
    found, hist = evaluate_packed(*packed, *masks, bits=bits, metrics=metrics, threads=threads)
    return {**found, "empty_queries": empty_queries(hist)}


def evaluate_packed(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    *,
    bits: int,
    metrics: Sequence[str],
    threads: int | None = None,
) -> tuple[dict[str, float], Histograms]:
    """The means by name, and the histograms, of what :mod:`bench.scoring.hamming` packed."""
    packed = query, database, query_labels, database_labels
    asked = [parse_metric(name) for name in metrics]
    graded = any(m.needs == "grades" for m in asked)
    ordered = [m for m in asked if m.needs == "order"]
    orders = None
    if ordered:
        cuts = [m.at for m in ordered if m.at is not None]
        backward = any(m.compute is compat.trec for m in ordered)
        orders = compat.orders(*packed, bits=bits, cuts=cuts, backward=backward, threads=threads)
    if orders is None or graded:
        hist = histograms(*packed, bits=bits, graded=graded, threads=threads)
    else:
        hist = orders.histograms
    return means(metrics, hist, orders), hist


def _pack_both(query: npt.NDArray[Any], database: npt.NDArray[Any]) -> tuple[Packed, Packed]:
    if query.ndim != database.ndim or query.shape[1:] != database.shape[1:]:
        raise DataError(
            f"query labels have shape {query.shape} and database labels {database.shape}; "
            "expected the same classes on both sides."
        )
    if query.ndim != 1:
        return pack_labels(query), pack_labels(database)
    classes = 1 + max((int(a.max()) for a in (query, database) if a.size and a.dtype.kind in "iu"), default=0)
    return pack_labels(query, classes=max(classes, 1)), pack_labels(database, classes=max(classes, 1))


def _values(metrics: Sequence[Metric], source: Histograms | Orders | None) -> list[Values]:
    """Each metric for every query."""
    for metric in metrics:
        if (metric.needs == "order") != isinstance(source, Orders):
            needed = "Orders" if metric.needs == "order" else "Histograms"
            raise ParameterError(
                f"metric {metric.key} is computed from {needed}; got {type(source).__name__}. "
                "Use evaluate(), which makes what is needed from codes."
            )
    if isinstance(source, Orders):
        return [metric.compute(source, metric.at) for metric in metrics]
    assert source is not None
    if source.gains is None and any(m.needs == "grades" for m in metrics):
        raise DataError("the histograms hold no grades, which ndcg needs. Ask histograms() for graded=True.")
    found = [np.empty(len(source)) for _ in metrics]
    for start in range(0, len(source), _BLOCK):
        rows = slice(start, start + _BLOCK)
        ranking = Ranking.of(source.take(rows))
        for values, metric in zip(found, metrics, strict=True):
            at = metric.at if metric.cutoff is None else min(metric.cutoff, ranking.size)
            values[rows] = np.where(ranking.total > 0, metric.compute(ranking, at), np.nan)
    return found


def _average(metric: Metric, values: Values) -> float:
    if metric.average is not None:
        return metric.average(values)
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


# A metric is a function here and its line in METRICS. It may give anything where total is 0. --------


def _map(ranking: Ranking, cut: int | None) -> Values:
    return _normalised(expected_precisions, ranking, cut)


def _map_optimistic(ranking: Ranking, cut: int | None) -> Values:
    return _normalised(best_precisions, ranking, cut)


def _map_pessimistic(ranking: Ranking, cut: int | None) -> Values:
    return _normalised(worst_precisions, ranking, cut)


def _normalised(precisions: Callable[[Ranking, float], Values], ranking: Ranking, cut: int | None) -> Values:
    limit = np.inf if cut is None else cut
    return precisions(ranking.until(cut), limit) / np.maximum(np.minimum(ranking.total, limit), 1)


def _map_hits(ranking: Ranking, cut: int | None) -> Values:
    return precisions_per_hit(ranking, ranking.size if cut is None else cut)


def _chance(ranking: Ranking, cut: int | None) -> Values:
    return _map(ranking.merged(), cut)


def _hits(ranking: Ranking, cut: int) -> Values:
    """Expected hits among the first ``cut`` items."""
    items, relevant, items_before, relevant_before = ranking.group_at(cut)
    return relevant_before + relevant * (cut - items_before) / items


def _precision(ranking: Ranking, cut: int) -> Values:
    return _hits(ranking, cut) / cut


def _recall(ranking: Ranking, cut: int) -> Values:
    return _hits(ranking, cut) / np.maximum(ranking.total, 1)


def _precision_within(ranking: Ranking, radius: int) -> Values:
    return _hits_within(ranking, radius) / np.maximum(row_sums(ranking.items[:, : radius + 1]), 1)


def _recall_within(ranking: Ranking, radius: int) -> Values:
    return _hits_within(ranking, radius) / np.maximum(ranking.total, 1)


def _hits_within(ranking: Ranking, radius: int) -> Values:
    return row_sums(ranking.relevant[:, : radius + 1])


def _ndcg(ranking: Ranking, cut: int | None) -> Values:
    """Expected DCG with gain = shared labels and discount log2(1 + rank), over that of the best order."""
    limit = ranking.size if cut is None else cut
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2.0, limit + 2)))])
    g = ranking.until(cut)
    assert g.gains is not None and g.grades is not None
    low = np.minimum(g.items_before, limit).astype(np.intp)
    high = np.minimum(g.items_before + g.items, limit).astype(np.intp)
    found = row_sums(g.gains / np.maximum(g.items, 1) * (discount[high] - discount[low]))
    falling = g.grades[:, :0:-1]  # highest grade first, grade 0 left out
    ends = discount[np.minimum(falling.cumsum(axis=1), limit).astype(np.intp)]
    best = row_sums(np.diff(ends, axis=1, prepend=0.0) * np.arange(falling.shape[1], 0, -1))
    return found / np.where(best > 0, best, 1)


METRICS: dict[str, Metric] = {
    m.key: m
    for m in (
        Metric(
            key="map",
            compute=_map,
            takes="R or nothing",
            description="mean average precision, expected over orders of ties; @R over min(R, relevant)",
        ),
        Metric(
            key="map:optimistic",
            compute=_map_optimistic,
            takes="R or nothing",
            description="the same in the best order of tied items",
        ),
        Metric(
            key="map:pessimistic",
            compute=_map_pessimistic,
            takes="R or nothing",
            description="the same in the worst order of tied items",
        ),
        Metric(
            key="map:hits",
            compute=_map_hits,
            takes="R or nothing",
            description="expected AP over the hits among the first R instead of min(R, relevant)",
        ),
        Metric(
            key="chance",
            compute=_chance,
            takes="R or nothing",
            description="what map is when all codes are equal",
        ),
        Metric(
            key="precision",
            compute=_precision,
            takes="R",
            description="expected share of relevant items among the first R",
        ),
        Metric(
            key="recall",
            compute=_recall,
            takes="R",
            description="expected share of the relevant items that are among the first R",
        ),
        Metric(
            key="precision@r",
            compute=_precision_within,
            takes="radius",
            description="share of relevant items within a Hamming radius; 0 where nothing is within it",
        ),
        Metric(
            key="recall@r",
            compute=_recall_within,
            takes="radius",
            description="share of the relevant items that are within a Hamming radius",
        ),
        Metric(
            key="ndcg",
            compute=_ndcg,
            takes="R or nothing",
            needs="grades",
            description="expected normalised DCG; an item gains the number of labels it shares",
        ),
        Metric(
            key="map:dcmh",
            compute=compat.dcmh,
            needs="order",
            average=compat.mean_over_all,
            description="as DCMH's calc_map: database order, mean over all queries, empty ones as 0",
        ),
        Metric(
            key="map:lemon",
            compute=compat.lemon,
            takes="R or nothing",
            needs="order",
            average=compat.mean_over_all,
            description="as LEMON's mAP.m: database order, over the hits among the first R, empty ones as 0",
        ),
        Metric(
            key="map:calc_map_k",
            compute=compat.calc_map_k,
            takes="R or nothing",
            needs="order",
            average=compat.mean_over_all,
            description="as calc_map_k: mean precision at the first R relevant items wherever they rank",
        ),
        Metric(
            key="map:perf_metric4label",
            compute=compat.perf_metric4label,
            needs="order",
            average=compat.mean_from_ten,
            description="as perf_metric4Label.m as copied: the counter of queries starts at 10",
        ),
        Metric(
            key="map:trec",
            compute=compat.trec,
            takes="R or nothing",
            needs="order",
            description="as trec_eval map and map_cut: over all relevant items, ties last row first",
        ),
    )
}
