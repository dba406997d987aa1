"""Lines of methods in panels by direction and code length, the form of most figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError
from bench.records import DIRECTIONS, Direction, RunRecord
from bench.reporting.figures import Figure, Plot
from bench.reporting.metric import check_metric
from bench.reporting.protocol import APART, DIRECTION_NAMES, Protocol, by_dataset, by_label
from bench.reporting.results import Results
from bench.reporting.style import CHANCE, Look, by_direction, label_edges, legend, log_ticks

Values = npt.NDArray[np.float64]
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
    def mean(cls, x: Sequence[npt.NDArray[Any]], y: Sequence[Values], at: Sequence[Any] = ()) -> Curve:
        """The mean of one curve per seed, all of the same length."""
        spread = np.std(y, axis=0, ddof=1) if len(y) > 1 else None
        return cls(np.mean(x, axis=0), np.mean(y, axis=0), spread, at)


@dataclass(frozen=True, slots=True)
class Part:
    """One plot to be: its records, a name for its files, and the lines of its caption on the protocol."""

    protocol: Protocol
    name: str
    caption: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes: the curves of every method at one direction and code length."""

    direction: Direction
    bits: int
    curves: Mapping[str, Curve]

    @property
    def title(self) -> str:
        return f"{DIRECTION_NAMES[self.direction]}, {self.bits} bits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Labels and scales; ``at`` is a column of the numbers that is not drawn."""

    x: str
    y: str
    xscale: str = "linear"
    markers: bool = False
    unit: bool = False  # both from 0 to 1
    whole: bool = False  # x counts something
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

    Parameters
    ----------
    curve
        Makes the curve of one method from its records with numbers in one panel; None leaves it out.
    chance
        The same for the chance level, from the records of all methods.
    draw
        Draws the curves of a panel; None draws lines.
    metric
        Raises ParameterError where a cell lacks it.
    swept
        Protocols that differ in these alone share a plot.
    """
    if metric:
        check_metric(results, metric)
    plots = []
    for part in parts(results, metric=metric, swept=swept):
        panels = list(_panels(part.protocol, curve, chance))
        if panels:
            plot = Plot(
                name=part.name,
                caption=(*caption, *part.caption),
                notes=part.protocol.notes(),
                draw=partial(_draw, panels, axes, results.looks, draw or partial(_put, markers=axes.markers)),
            )
            plots.append((plot, [row for panel in panels for row in _data(part.protocol, panel, axes)]))
    if not plots:
        raise ParameterError(f"{title}: none of {len(results)} cells has numbers to draw.")
    return Figure.of(title, plots)


def parts(results: Results, *, metric: str = "", swept: Sequence[str] = ()) -> list[Part]:
    """One for every protocol and dataset, named by the dataset and by what distinguishes it from others."""
    found = by_dataset(results, swept=swept)
    axes = [{"pool": p.pool, **{k: str(getattr(p.records[0].spec, k)) for k in APART}} for p in found]
    differ = [name for name in ("pool", *APART) if len({values[name] for values in axes}) > 1]
    return [
        Part(
            part,
            part_name(i, " ".join([*part.datasets, *(values[name] for name in differ)])),
            part.caption(metric=metric, swept=swept),
        )
        for i, (part, values) in enumerate(zip(found, axes, strict=True))
    ]


def part_name(number: int, words: str) -> str:
    """Part of a file name; the number keeps two protocols of one dataset apart."""
    return f"{number + 1}-" + re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-")


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
                yield Panel(direction, bits, curves)


def _draw(panels: Sequence[Panel], axes: Axes, styles: Mapping[str, Look], draw: Draw) -> Any:
    directions = list(dict.fromkeys(p.direction for p in panels))
    bits = sorted({p.bits for p in panels})
    canvas, places, at = by_direction(directions, bits, sharex=axes.unit, sharey=True)
    for panel in panels:
        axis = at[panel.direction, panel.bits]
        axis.set_title(panel.title)
        draw(axis, panel.curves, styles)
        if axes.xscale == "log":
            axis.set_xscale("log")
            log_ticks(axis.xaxis, [float(x) for c in panel.curves.values() for x in c.x])
        if axes.whole:
            axis.xaxis.get_major_locator().set_params(integer=True)
        if axes.unit:
            axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
    label_edges(places, axes.x, axes.y)
    legend(canvas, places)
    return canvas


def _put(axis: Any, curves: Mapping[str, Curve], styles: Mapping[str, Look], *, markers: bool) -> None:
    for label, curve in curves.items():
        draw_curve(axis, label, curve, styles, markers=markers)


def draw_curve(axis: Any, label: str, curve: Curve, styles: Mapping[str, Look], *, markers: bool) -> None:
    """A line with its band of one standard deviation."""
    if label == BASELINE:
        axis.plot(curve.x, curve.y, label=label, **CHANCE)
        return
    look = styles[label]
    axis.plot(curve.x, curve.y, label=label, **(look.points if markers else look.line))
    if curve.spread is not None:
        low, high = curve.y - curve.spread, curve.y + curve.spread
        axis.fill_between(curve.x, low, high, color=look.color, alpha=0.15, linewidth=0)


def _data(part: Protocol, panel: Panel, axes: Axes) -> Iterator[dict[str, Any]]:
    for label, curve in panel.curves.items():
        protocol = columns_of(part, label, panel.bits)
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
