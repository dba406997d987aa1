"""Two numbers of a stream: the average over its rounds, and the last round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.errors import ParameterError
from bench.records import RoundRecord, RunRecord
from bench.reporting.tables import Table
from bench.reports._grid import grids, joined
from bench.reports._metric import metric_title


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    band: bool = False,
    stale: Mapping[str, str] | None = None,
) -> Table:
    """Two blocks per protocol: the mean over the evaluated rounds of each run, and the last round.

    Every round counts the same, however many items it brings. A round in which no query has anything
    to find has no value and is left out of the mean.
    """
    several = [r for r in records if r.spec.evaluate != "last"]
    if records and not several:
        raise ParameterError(
            f"report 'average': all {len(records)} cells were evaluated after their last round only. "
            "Run them with --evaluate all, or every:K."
        )
    average = grids(
        several,
        metric=metric,
        stale=stale or {},
        band=band,
        rounds=_average,
        when="mean over the evaluated rounds, each counted the same",
    )
    last = grids(several, metric=metric, stale=stale or {}, band=band)
    title = f"{metric_title(metric)} on average over rounds, and in the last"
    return joined(title, [grid for pair in zip(average, last, strict=True) for grid in pair])


def _average(record: RunRecord) -> Sequence[RoundRecord]:
    """One round that stands for all: the mean of every metric; the rest is that of the last one."""
    if not record.rounds:
        return ()
    found = {}
    for name in record.rounds[-1].metrics:
        values = [r.metrics[name] for r in record.rounds if name in r.metrics]
        kept = [v for v in values if not math.isnan(v)]
        found[name] = statistics.fmean(kept) if kept else math.nan
    return (replace(record.rounds[-1], metrics=found),)
