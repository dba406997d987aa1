"""mAP, or another metric, round by round: how methods learn and forget along the stream."""

from bench.reporting import Metric, Results, Table, metric_title
from bench.reports._grid import Band, grids, numbered
from bench.reports._stream import require_rounds


def render(results: Results, *, metric: Metric = "map", band: Band = False) -> Table:
    """Columns are the evaluated rounds, and their mean; the chance level changes with the database."""
    require_rounds(results)
    blocks = grids(
        results,
        metric=metric,
        band=band,
        rounds=lambda r: r.rounds,
        when="by round, counted from 0",
        by_round=True,
    )
    return Table.of(f"{metric_title(metric)} by round", numbered(blocks))
