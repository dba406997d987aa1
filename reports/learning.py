"""mAP, or another metric, along the stream; or a curve that methods logged while they trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from bench.reporting import (
    Axes,
    Curve,
    Direction,
    Figure,
    Metric,
    Results,
    RunRecord,
    chance_name,
    definition,
    lines,
    metric_title,
)
from bench.reports import _logged
from bench.reports._stream import require_rounds

Logged = Annotated[str, "a curve that methods logged, such as loss, instead of the metric"]


def render(results: Results, *, metric: Metric = "map", logged: Logged = "") -> Figure:
    """Mean and spread over seeds, against the items in the database, which grows with every round.

    With ``logged`` the curve of that name, against the points that were logged.
    """
    if logged:
        return _logged.render(results, logged)
    require_rounds(results)

    def curve(ran: Sequence[RunRecord], direction: Direction, name: str = metric) -> Curve | None:
        keys = {f"{metric}/{direction}", f"{name}/{direction}"}
        several = [r for r in ran if len(r.rounds) > 1 and keys <= r.rounds[-1].metrics.keys()]
        return _curve(several, f"{name}/{direction}") if several else None

    title = metric_title(metric)
    return lines(
        results,
        title=f"{title} along the stream",
        axes=Axes(x="items in the database", y=title),
        caption=(
            f"{definition(metric)}, after every evaluated round",
            "mean over seeds; band: standard deviation over seeds",
            "the chance level changes as the database grows; the number below is for the last round",
        ),
        curve=curve,
        chance=lambda ran, direction: curve(ran, direction, chance_name(metric)),
        metric=metric,
    )


def _curve(ran: Sequence[RunRecord], key: str) -> Curve:
    """By the number of the round; of rounds that only some seeds have, those seeds."""
    numbers = sorted({r.round for record in ran for r in record.rounds})
    points = [[r for record in ran for r in record.rounds if r.round == number] for number in numbers]
    values = [[v for p in rounds if not np.isnan(v := p.metrics.get(key, np.nan))] for rounds in points]
    curve = Curve.of([float(np.mean([p.items for p in rounds])) for rounds in points], values)
    return curve if len(ran) > 1 else replace(curve, spread=None)
