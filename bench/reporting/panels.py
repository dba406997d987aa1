"""Lines of methods in panels by direction and code length, the form of most figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from bench.records import DIRECTIONS, Direction, RunRecord
from bench.reporting.evidence import Values
from bench.reporting.figures import Figure, Plot
from bench.reporting.metric import check_metric
from bench.reporting.protocol import DIRECTION_NAMES, Protocol, by_dataset, by_label, differences, part_name
from bench.reporting.results import Results
from bench.reporting.style import CHANCE, Look, by_direction, label_edges, legend, log_ticks, point_ticks

BASELINE = "chance"  # a curve of this name is drawn as the chance level


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one method, mean over seeds; ``spread`` is the standard deviation over them, if any.

    ``at`` names what each point belongs to, where neither x nor y does; ``Axes.at`` is its column.
    """

    x: Values
    y: Values
    spread: Values | None = None
    at: Sequence[Any] = ()

    @classmethod
    def of(cls, x: Sequence[float], samples: Sequence[Sequence[float]]) -> Self:
        """One sample per point: NaN where it is empty, and no spread of a single value."""
        y = [np.mean(values) if len(values) else np.nan for values in samples]
        spread = [np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in samples]
        return cls(np.array(x, float), np.array(y), np.array(spread))

    @classmethod
    def mean(cls, x: Sequence[npt.NDArray[Any]], y: Sequence[Values], at: Sequence[Any] = ()) -> Self:
        """The mean of one curve per seed, all of the same length."""
        spread = np.std(y, axis=0, ddof=1) if len(y) > 1 else None
        return cls(np.mean(x, axis=0), np.mean(y, axis=0), spread, at)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes: the curves of every method at one direction and, say, code length."""

    direction: Direction
    column: int  # panels of one direction stand in this order
    title: str
    curves: Mapping[str, Curve]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Labels and scales; ``at`` is a column of the numbers that is not drawn."""

    x: str
    y: str
    xscale: Literal["linear", "log", "log2"] = "linear"
    unit: bool = False  # both within 0 and 1, and x shared
    counts: bool = False  # x is a count
    at: str = ""


MakeCurve = Callable[[Sequence[RunRecord], Direction], Curve | None]
Draw = Callable[[Any, Mapping[str, Curve], Mapping[str, Look]], None]  # axes, curves, how methods look


def lines(
    results: Results,
    *,
    title: str,
    axes: Axes,
    caption: tuple[str, ...],
    curve: MakeCurve,
    chance: MakeCurve | None = None,
    draw: Draw | None = None,
    metric: str = "",
    swept: Sequence[str] = (),
) -> Figure:
    """A plot per protocol and dataset, a panel per direction and code length.

    ``curve`` makes the curve of one method from its records with numbers in one panel, or None to leave it
    out; ``chance`` makes the chance level from those of all methods. ``draw`` draws a panel, by default as
    lines. Protocols that differ in ``swept`` alone share a plot. Raises ParameterError where a cell lacks
    ``metric``.
    """
    if metric:
        check_metric(results, metric)
    plots = []
    for name, part in parts(results, swept=swept).items():
        panels = list(_panels(part, curve, chance))
        if panels:
            plot = Plot(
                name=name,
                caption=(*caption, *part.caption(metric=metric, swept=swept)),
                notes=part.notes(),
                draw=partial(draw_panels, panels, axes, results.looks, draw, sharex=axes.unit),
            )
            plots.append((plot, [row for panel in panels for row in _data(part, panel, axes)]))
    return Figure.of(title, plots)


def parts(results: Results, *, swept: Sequence[str] = ()) -> dict[str, Protocol]:
    """Every protocol and dataset, by a name made of the dataset and of what distinguishes it from others."""
    found = by_dataset(results, swept=swept)
    return {
        part_name(i, " ".join(filter(None, (*part.datasets, differs)))): part
        for i, (part, differs) in enumerate(zip(found, differences(found), strict=True))
    }


def _panels(part: Protocol, curve: MakeCurve, chance: MakeCurve | None) -> Iterator[Panel]:
    ran = [r for r in part.records if not r.word]
    for direction in DIRECTIONS:
        for bits in sorted({r.spec.bits for r in ran}):
            chosen = [r for r in ran if r.spec.bits == bits and direction in r.spec.directions]
            made = {label: curve(mine, direction) for label, mine in by_label(chosen).items()}
            curves = {label: one for label, one in made.items() if one is not None}
            if curves and chance and (level := chance(chosen, direction)) is not None:
                curves[BASELINE] = level
            if curves:
                yield Panel(direction, bits, f"{DIRECTION_NAMES[direction]}, {bits} bits", curves)


def draw_panels(
    panels: Sequence[Panel], axes: Axes, looks: Mapping[str, Look], draw: Draw | None = None, **share: bool
) -> Any:
    """A new figure of panels, directions down; side by side where there is one column.

    ``share`` is that of ``matplotlib.figure.Figure.subplots``, where the y axis is shared by default.
    """
    directions = list(dict.fromkeys(p.direction for p in panels))
    columns = sorted({p.column for p in panels})
    canvas, places, at = by_direction(directions, columns, **{"sharey": True, **share})
    for panel in panels:
        axis, x = at[panel.direction, panel.column], [float(x) for c in panel.curves.values() for x in c.x]
        axis.set_title(panel.title)
        if draw is None:
            for label, curve in panel.curves.items():
                draw_curve(axis, label, curve, looks)
        else:
            draw(axis, panel.curves, looks)
        if axes.xscale == "log":
            axis.set_xscale("log")
            log_ticks(axis.xaxis, x)
        elif axes.xscale == "log2":
            axis.set_xscale("log", base=2)
            point_ticks(axis.xaxis, x)
        if axes.counts:
            axis.xaxis.get_major_locator().set_params(integer=True)
        if axes.unit:
            axis.set(xlim=_limits(c.x for p in panels for c in p.curves.values()))
            axis.set(ylim=_limits(c.y for p in panels for c in p.curves.values()))
    label_edges(places, axes.x, axes.y)
    legend(canvas, places)
    return canvas


def _limits(values: Iterable[Values]) -> tuple[float, float]:
    """The range of values within 0 and 1, with a margin of a twentieth that ends a little beyond them."""
    every = np.concatenate([np.ravel(v) for v in values])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    margin = 0.05 * max(high - low, 0.02)
    return max(low - margin, -0.02), min(high + margin, 1.02)


def draw_curve(axis: Any, label: str, curve: Curve, looks: Mapping[str, Look]) -> None:
    """A line with its band of one standard deviation, and markers: on every point, or on about eight."""
    if label == BASELINE:
        axis.plot(curve.x, curve.y, label=label, **CHANCE)
        return
    look, step = looks[label], max(1, len(curve.x) // 8)
    first = sum(map(ord, label)) % step  # so that not all markers meet
    axis.plot(curve.x, curve.y, label=label, markevery=(first, step), **look.points)
    if curve.spread is not None:
        low, high = curve.y - curve.spread, curve.y + curve.spread
        axis.fill_between(curve.x, low, high, color=look.color, alpha=0.15, linewidth=0)


def _data(part: Protocol, panel: Panel, axes: Axes) -> Iterator[dict[str, Any]]:
    for label, curve in panel.curves.items():
        protocol = columns_of(part, label, panel.column)
        for i, (x, y) in enumerate(zip(curve.x, curve.y, strict=True)):
            spread = None if curve.spread is None else float(curve.spread[i])
            at = {axes.at: curve.at[i]} if axes.at else {}
            row = {"direction": panel.direction, **at, axes.x: float(x), axes.y: float(y), "sd": spread}
            yield {**protocol, **row}


def columns_of(part: Protocol, label: str, bits: int) -> dict[str, Any]:
    """The protocol of a method's numbers, for rows of them; the chance level belongs to no method."""
    ran = [r for r in part.records if not r.word]
    mine = [r for r in ran if (r.spec.label, r.spec.bits) == (label, bits)]
    if mine:
        return part.columns(mine[0])
    nobody = {"pool": part.pool, "saw_future": False, "method": label, "fidelity": "", "bits": bits}
    return part.columns(ran[0]) | nobody
