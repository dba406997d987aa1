"""mAP, or another metric, along the stream: mean and spread over seeds after every evaluated round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.errors import ParameterError
from bench.records import Direction, RunRecord
from bench.reporting.figures import Figure
from bench.reports._metric import chance_name, definition, metric_title
from bench.reports._panels import BASELINE, Axes, Curve, by_label, lines


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """Against the items in the database, which grows with every round."""
    if records and all(r.spec.evaluate == "last" for r in records):
        raise ParameterError(
            f"report 'learning': all {len(records)} cells were evaluated after their last round only. "
            "Run them with --evaluate all, or every:K."
        )

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        key, chance = f"{metric}/{direction}", f"{chance_name(metric)}/{direction}"
        several = [r for r in chosen if len(r.rounds) > 1 and key in r.rounds[-1].metrics]
        found = {label: _curve(ran, key) for label, ran in by_label(several).items()}
        if any(chance in r.rounds[-1].metrics for r in several):
            found[BASELINE] = _curve(several, chance)
        return found

    title = metric_title(metric)
    return lines(
        records,
        title=f"{title} along the stream",
        axes=Axes(x="items in the database", y=title, markers=True),
        caption=(
            f"{definition(metric)}, after every evaluated round",
            "mean over seeds; band: standard deviation over seeds",
            "the chance level changes as the database grows; the number below is that after the last round",
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
        metric=metric,
    )


def _curve(ran: Sequence[RunRecord], key: str) -> Curve:
    """By the number of the round; of rounds that only some seeds have, those seeds."""
    numbers = sorted({r.round for record in ran for r in record.rounds})
    points = [[r for record in ran for r in record.rounds if r.round == number] for number in numbers]
    values = [np.array([p.metrics.get(key, np.nan) for p in rounds]) for rounds in points]
    known = [v[~np.isnan(v)] for v in values]
    return Curve(
        x=np.array([np.mean([p.items for p in rounds]) for rounds in points]),
        y=np.array([v.mean() if len(v) else np.nan for v in known]),
        spread=np.array([v.std(ddof=1) if len(v) > 1 else 0.0 for v in known]) if len(ran) > 1 else None,
    )
