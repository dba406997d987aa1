"""One metric over the values of one parameter or axis, as lines: a panel per dataset and direction."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.reporting import (
    DIRECTION_NAMES,
    Curve,
    Direction,
    Figure,
    Metric,
    Results,
    grid,
    label_edges,
    legend,
    log_ticks,
    metric_title,
)
from bench.reports._axes import AxisNames, Sweep, drawn, scores, shown, sweeps

_MARKERS = "osD^vP"


def render(results: Results, *, metric: Metric = "map", axes: AxisNames = ()) -> Figure:
    """A line per code length, mean over seeds."""

    def plot(sweep: Sweep) -> tuple[tuple[str, ...], Callable[[], Any]]:
        lines = {(d, b): _curve(sweep, b, d, metric) for d in sweep.directions for b in sweep.lengths}
        axis, title = sweep.axes[0], metric_title(metric)
        draw = partial(_draw, lines, axis, sweep.levels(axis), title)
        return ("band: standard deviation over seeds",), draw

    return drawn(sweeps(results, axes, 1, metric), metric, plot)


def _curve(sweep: Sweep, bits: int, direction: Direction, metric: str) -> Curve:
    """Against the position of the value; NaN for cells that did not run."""
    values = [scores(sweep.at(bits, x), metric, direction) for x in sweep.levels(sweep.axes[0])]
    return Curve.of(range(len(values)), values)


def _draw(lines: Mapping[tuple[Direction, int], Curve], name: str, levels: Sequence[Any], title: str) -> Any:
    import seaborn

    directions = list(dict.fromkeys(d for d, _ in lines))
    lengths = sorted({b for _, b in lines})
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) and v > 0 for v in levels)
    colours = seaborn.color_palette("viridis", len(lengths) + 1)  # of code lengths, not of methods
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
    label_edges(places, name, title)
    legend(canvas, places)
    return canvas
