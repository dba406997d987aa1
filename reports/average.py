"""Two numbers per stream: the average over its rounds, and the last round."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.reporting import Metric, Results, RoundRecord, RunRecord, Table, metric_title
from bench.reports._grid import Band, grids, numbered
from bench.reports._stream import require_rounds


def render(results: Results, *, metric: Metric = "map", band: Band = False) -> Table:
    """Two blocks per protocol: the mean over the evaluated rounds of each run, and the last round.

    Every round has the same weight, however many items it brings. A round in which no query has a
    relevant item has no value and is left out of the mean.
    """
    require_rounds(results)
    several = results.select(lambda r: r.spec.evaluate != "last")
    when = "mean over the evaluated rounds, each counted the same"
    average = grids(several, metric=metric, band=band, rounds=_average, when=when)
    last = grids(several, metric=metric, band=band)
    title = f"{metric_title(metric)} on average over rounds, and in the last"
    return Table.of(title, numbered([grid for pair in zip(average, last, strict=True) for grid in pair]))


def _average(record: RunRecord) -> Sequence[RoundRecord]:
    """One round that stands for all: the mean of every metric; the rest is that of the last one."""
    if not record.rounds:
        return ()
    last = record.rounds[-1]
    parts = {
        name: replace(part, metrics=_means([r.parts[name].metrics for r in record.rounds if name in r.parts]))
        for name, part in last.parts.items()
    }
    return (replace(last, metrics=_means([r.metrics for r in record.rounds]), parts=parts),)


def _means(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every metric of the last round over the rounds in which it has a value."""
    means = {}
    for name in rounds[-1]:
        kept = [r[name] for r in rounds if not math.isnan(r.get(name, math.nan))]
        means[name] = statistics.fmean(kept) if kept else math.nan
    return means
