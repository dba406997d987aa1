"""Accuracy against cost: mAP over the seconds of fitting and rehashing a stream, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.records import Direction, RunRecord
from bench.reporting.figures import Figure
from bench.reports._metric import definition, metric_title
from bench.reports._panels import Axes, Curve, by_label, lines
from bench.reports._protocol import PARALLEL_NOTE
from bench.reports._style import Look


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """One point per method, mean over seeds; methods that are no rivals are left out.

    Cost: the offline stage, every fit, and re-encoding old items, wall clock. Under ``evaluate last``
    nothing is re-encoded before the end.
    """

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        rivals = by_label([r for r in chosen if not r.reference])
        return {label: _point(ran, f"{metric}/{direction}") for label, ran in rivals.items()}

    parallel = any(int(r.environment.get("jobs", 1)) > 1 for r in records)
    return lines(
        records,
        title="Accuracy against cost",
        axes=Axes(x="fit + rehash [s]", y=metric_title(metric), xscale="log"),
        caption=(
            f"{definition(metric)}, after the last round",
            "against wall-clock seconds of the offline stage, all fits and all re-encoding of old items",
            "mean over seeds; bars: standard deviation over seeds",
            "grey line: the Pareto front, the methods that none beats in both",
            *([PARALLEL_NOTE] if parallel else ()),
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
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
    found: list[tuple[float, float]] = []
    for x, y in sorted(points.values(), key=lambda p: (p[0], -p[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found
