"""Mean average precision, expected over the orders of tied items; its bounds; and as other code has it."""

from __future__ import annotations

from bench.metrics import Orders, Ranking, Values, compat, metric, ties


@metric(takes="R or nothing")
def expected(ranking: Ranking, cut: int | None) -> Values:
    """Mean average precision, expected over orders of ties; @R over min(R, relevant)."""
    return ties.average(ties.expected_precisions, ranking, cut)


@metric(takes="R or nothing", variant="optimistic")
def optimistic(ranking: Ranking, cut: int | None) -> Values:
    """The same in the best order of tied items."""
    return ties.average(ties.best_precisions, ranking, cut)


@metric(takes="R or nothing", variant="pessimistic")
def pessimistic(ranking: Ranking, cut: int | None) -> Values:
    """The same in the worst order of tied items."""
    return ties.average(ties.worst_precisions, ranking, cut)


@metric(takes="R or nothing", variant="hits")
def hits(ranking: Ranking, cut: int | None) -> Values:
    """Expected AP over the hits among the first R instead of min(R, relevant)."""
    return ties.precisions_per_hit(ranking, ranking.size if cut is None else cut)


@metric(needs="order", average=compat.mean_over_all, variant="dcmh")
def dcmh(orders: Orders, cut: int | None) -> Values:
    """As DCMH's calc_map: database order, mean over all queries, empty ones as 0."""
    return compat.dcmh(orders, cut)


@metric(takes="R or nothing", needs="order", average=compat.mean_over_all, variant="lemon")
def lemon(orders: Orders, cut: int | None) -> Values:
    """As LEMON's mAP.m: database order, over the hits among the first R, empty ones as 0."""
    return compat.lemon(orders, cut)


@metric(takes="R or nothing", needs="order", average=compat.mean_over_all, variant="calc_map_k")
def calc_map_k(orders: Orders, cut: int | None) -> Values:
    """As calc_map_k: mean precision at the first R relevant items wherever they rank."""
    return compat.calc_map_k(orders, cut)


@metric(needs="order", average=compat.mean_from_ten, variant="perf_metric4label")
def perf_metric4label(orders: Orders, cut: int | None) -> Values:
    """As perf_metric4Label.m as copied: the counter of queries starts at 10."""
    return compat.perf_metric4label(orders, cut)


@metric(takes="R or nothing", needs="both orders", variant="trec")
def trec(orders: Orders, cut: int | None) -> Values:
    """As trec_eval map and map_cut: over all relevant items, ties last row first."""
    return compat.trec(orders, cut)
