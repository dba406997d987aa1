"""Mean reciprocal rank of the first relevant item, expected over the orders of tied items."""

from __future__ import annotations

from bench.metrics import Ranking, Values, metric, ties


@metric(takes="R or nothing")
def mrr(ranking: Ranking, cut: int | None) -> Values:
    """Expected 1 / rank of the first relevant item; @R: 0 where it ranks after R."""
    return ties.reciprocal_rank(ranking, ranking.size if cut is None else cut)
