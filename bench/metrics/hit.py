"""Hit rate: whether any relevant item is among the first R, expected over the orders of tied items.

Image–text retrieval calls it R@K; here ``recall@K`` is the share of the relevant items that are found.
"""

from __future__ import annotations

from bench.metrics import Ranking, Values, metric, ties


@metric(takes="R")
def hit(ranking: Ranking, cut: int) -> Values:
    """Probability of a relevant item among the first R; image–text retrieval calls it R@K."""
    return 1 - ties.no_hit(ranking, cut)
