"""mAP, or another metric, round by round: how methods learn and forget along the stream."""

from __future__ import annotations

from typing import Annotated

from bench.reporting import Metric, Results, Table, metric_title
from bench.reports._grid import grids, numbered
from bench.reports._stream import require_rounds


def render(
    results: Results,
    *,
    metric: Metric = "map",
    band: Annotated[bool, "show the worst and the best order of tied items"] = False,
) -> Table:
    """Columns are the evaluated rounds; the chance level under them changes as the database grows."""
    require_rounds(results, "rounds")
    blocks = grids(
        results,
        metric=metric,
        band=band,
        rounds=lambda r: r.rounds,
        when="by round, counted from 0",
        by_round=True,
    )
    return Table.of(f"{metric_title(metric)} by round", numbered(blocks))
