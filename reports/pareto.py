"""Accuracy against cost: mAP over the seconds of fitting and rehashing a stream, and the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.reporting import (
    PARALLEL_NOTE,
    Axes,
    Curve,
    Direction,
    Figure,
    Look,
    Metric,
    Results,
    RunRecord,
    definition,
    lines,
    metric_title,
    parallel,
)


def render(results: Results, *, metric: Metric = "map") -> Figure:
    """One point per method, mean over seeds; references and constant codes are left out.

    Cost: the offline stage, every fit, and re-encoding old items, wall clock. Under ``evaluate last``
    nothing is re-encoded before the end.
    """

    def curve(ran: Sequence[RunRecord], direction: Direction) -> Curve | None:
        return (
            None if ran[0].reference or any(r.constant for r in ran) else _point(ran, f"{metric}/{direction}")
        )

    return lines(
        results,
        title="Accuracy against cost",
        axes=Axes(x="fit + rehash [s]", y=metric_title(metric), xscale="log"),
        caption=(
            f"{definition(metric)}, after the last round",
            "against wall-clock seconds of the offline stage, all fits and all re-encoding of old items",
            "mean over seeds; bars: standard deviation over seeds",
            "grey line: the Pareto front; no method is both cheaper and better than one on it",
            *([PARALLEL_NOTE] if parallel(results) else ()),
        ),
        curve=curve,
        draw=_draw,
        metric=metric,
    )


def cost(record: RunRecord) -> float:
    """Seconds of the offline stage, of every fit, and of re-encoding."""
    stages = ("fit_pool", "rehash")
    return sum(record.fit_seconds) + sum(r.seconds.get(s, 0.0) for r in record.rounds for s in stages)


def _point(ran: Sequence[RunRecord], key: str) -> Curve:
    values = [np.array([r.rounds[-1].metrics[key]]) for r in ran]
    return Curve.mean([np.array([max(cost(r), 1e-6)]) for r in ran], values)


def _draw(axis: Any, curves: Mapping[str, Curve], styles: Mapping[str, Look]) -> None:
    for label, curve in curves.items():
        look = styles[label]
        axis.errorbar(
            curve.x,
            curve.y,
            yerr=curve.spread,
            label=label,
            color=look.color,
            marker=look.marker,
            linestyle="none",
            markersize=5,
        )
    front = _front({label: (float(c.x[0]), float(c.y[0])) for label, c in curves.items()})
    x, y = zip(*front, strict=True)
    edge = max(float(c.x[0]) for c in curves.values())
    axis.plot([*x, edge], [*y, y[-1]], drawstyle="steps-post", color="#888888", linewidth=0.8, zorder=1)


def _front(points: Mapping[str, tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both: cheaper, and better.

    >>> _front({"a": (1.0, 0.5), "b": (2.0, 0.4), "c": (3.0, 0.9)})
    [(1.0, 0.5), (3.0, 0.9)]
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(points.values(), key=lambda p: (p[0], -p[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front
