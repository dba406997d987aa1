"""mAP, or another metric, round by round: how methods learn and forget along the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.tables import Table
from bench.reports._grid import table
from bench.reports._metric import metric_title


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    band: bool = False,
    stale: Mapping[str, str] | None = None,
) -> Table:
    """Columns are the evaluated rounds; the chance level under them changes as the database grows."""
    if records and all(r.spec.evaluate == "last" for r in records):
        raise ParameterError(
            f"report 'rounds': all {len(records)} cells were evaluated after their last round only. "
            "Run them with --evaluate all, or every:K."
        )
    title = f"{metric_title(metric)} by round"
    return table(
        records,
        title=title,
        metric=metric,
        stale=stale or {},
        band=band,
        rounds=lambda r: r.rounds,
        when="by round, counted from 0",
        by_round=True,
    )
