"""mAP, or another metric, round by round: how methods learn, forget, and recover after a shift."""

from typing import Annotated

from bench.reporting import Metric, Results, Table, metric_title
from bench.reports import _recovery
from bench.reports._grid import Band, grids, numbered
from bench.reports._stream import require_rounds

Recovery = Annotated[
    float, "show instead the rounds until the score is back at this share of that before a shift: 0.95"
]
Shift = Annotated[int, "round of the shift, with recovery; 0 is the round in which scores fall most"]


def render(
    results: Results,
    *,
    metric: Metric = "map",
    band: Band = False,
    recovery: Recovery = 0.0,
    shift: Shift = 0,
) -> Table:
    """Columns are the evaluated rounds, and their mean; the chance level changes with the database.

    With ``recovery``, columns are code lengths, and entries the rounds that a method needs after a shift.
    """
    require_rounds(results)
    if recovery > 0:
        return _recovery.render(results, metric, recovery, shift)
    blocks = grids(
        results,
        metric=metric,
        band=band,
        rounds=lambda r: r.rounds,
        when="by round, counted from 0",
        by_round=True,
    )
    return Table.of(f"{metric_title(metric)} by round", numbered(blocks))
