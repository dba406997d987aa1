"""One metric over the values of one parameter or axis, as lines: a panel per dataset and direction."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.records import Direction, RunRecord
from bench.reporting.figures import Figure, Plot
from bench.reports._axes import Sweep, data, scores, shown, sweeps
from bench.reports._metric import metric_title
from bench.reports._panels import Curve, label_edges, part_name
from bench.reports._protocol import DIRECTION_NAMES
from bench.reports._style import figure, grid, legend, log_ticks

_MARKERS = "osD^vP"


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    axes: Sequence[str] = (),
    stale: Mapping[str, str] | None = None,
) -> Figure:
    """A line per code length, mean over seeds; ``axes`` names what varies, if more than one thing does."""
    found = sweeps(records, axes, 1, "sensitivity_plot", metric)
    plots: list[Plot] = []
    rows: list[dict[str, Any]] = []
    for number, sweep in enumerate(found):
        lines = {(d, b): _curve(sweep, b, d, metric) for d in sweep.directions for b in sweep.lengths}
        plots.append(
            Plot(
                name=part_name(number, sweep.title) if len(found) > 1 else "",
                caption=(*sweep.caption(metric), "band: standard deviation over seeds"),
                notes=sweep.notes(stale or {}),
                draw=partial(_draw, sweep, lines, metric_title(metric)),
            )
        )
        rows += data(sweep, metric)
    return figure(f"{metric_title(metric)} over {found[0].axes[0]}", plots, rows)


def _curve(sweep: Sweep, bits: int, direction: Direction, metric: str) -> Curve:
    """Against the position of the value; what did not run is NaN."""
    values = [scores(sweep.at(bits, x), metric, direction) for x in sweep.levels(sweep.axes[0])]
    return Curve(
        x=np.arange(len(values), dtype=np.float64),
        y=np.array([statistics.fmean(v) if v else np.nan for v in values]),
        spread=np.array([statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]),
    )


def _draw(sweep: Sweep, lines: Mapping[tuple[Direction, int], Curve], title: str) -> Any:
    import seaborn

    directions, lengths = sweep.directions, sweep.lengths
    levels = sweep.levels(sweep.axes[0])
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) and v > 0 for v in levels)
    colours = seaborn.color_palette("viridis", len(lengths) + 1)  # no method's: they tell code lengths
    canvas, places = grid(1, len(directions), sharey=True)
    for axis, direction in zip(places[0], directions, strict=True):
        axis.set_title(DIRECTION_NAMES[direction])
        for i, bits in enumerate(lengths):
            curve = lines[direction, bits]
            x = np.array(levels, float) if numeric else curve.x
            axis.plot(x, curve.y, color=colours[i], marker=_MARKERS[i % len(_MARKERS)], label=f"{bits} bits")
            assert curve.spread is not None
            low, high = curve.y - curve.spread, curve.y + curve.spread
            axis.fill_between(x, low, high, color=colours[i], alpha=0.15, linewidth=0)
        if numeric:
            axis.set_xscale("log")
            log_ticks(axis.xaxis, levels)
        else:
            axis.set_xticks(range(len(levels)), [shown(v) for v in levels])
    label_edges(places, sweep.axes[0], title)
    legend(canvas, places)
    return canvas
