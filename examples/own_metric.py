"""Own metric: reciprocal rank of the first relevant item, with tied items in the worst order."""

import numpy as np

from bench.metrics import Ranking, Values, metric


@metric(takes="R or nothing")
def own_metric(ranking: Ranking, cut: int | None) -> Values:
    """Reciprocal rank of the first relevant item, ties in the worst order; @R is 0 where it comes later."""
    group = (ranking.relevant > 0).argmax(axis=1)[:, None]  # the nearest distance with a relevant item
    before, items, relevant = (
        np.take_along_axis(field, group, axis=1)[:, 0]
        for field in (ranking.items_before, ranking.items, ranking.relevant)
    )
    rank = before + items - relevant + 1
    return np.where(rank <= (ranking.size if cut is None else cut), 1 / rank, 0.0)
