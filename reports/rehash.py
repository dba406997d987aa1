"""What rewriting old codes buys: mAP against the stored bits rewritten, for every database policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.errors import ParameterError
from bench.records import DATABASES, Direction, RunRecord
from bench.reporting.figures import Figure
from bench.reports._metric import definition, metric_title
from bench.reports._panels import Axes, Curve, by_label, lines
from bench.reports._style import Look

_MARKERS = {"frozen": "s", "reindexed": "o", "learned": "^"}


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """One point per method and policy, mean over seeds; only runs in which every round was evaluated.

    The policies are different protocols, which here stand in one panel on purpose: their markers
    tell them apart. Methods that are no rivals are left out.
    """
    several = [r for r in records if r.spec.evaluate == "all" and not r.reference and len(r.rounds) > 1]
    if not several:
        raise ParameterError(
            f"report 'rehash': none of {len(records)} cells was evaluated in every round of several, so what "
            "was rewritten is not known. Run them with --evaluate all."
        )

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        return {label: _points(ran, f"{metric}/{direction}") for label, ran in by_label(chosen).items()}

    return lines(
        several,
        title="Rehash economics",
        axes=Axes(x="rewrites per stored bit", y=metric_title(metric), at="database"),
        caption=(
            f"{definition(metric)}, after the last round, mean over seeds",
            "against how often a stored bit was rewritten on average along the stream",
            "a point per method and database policy",
            *(f"{name}: {text}" for name, text in DATABASES.items()),
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
        draw=_draw,
        metric=metric,
        swept=("database",),
    )


def rewrites(record: RunRecord) -> float:
    """How often a stored bit was rewritten, mean over all bits of the final database, both modalities."""
    flips = sum(r.bits_rewritten or 0 for r in record.rounds)
    return flips / (2 * record.spec.bits * record.rounds[-1].items)


def _points(ran: Sequence[RunRecord], key: str) -> Curve:
    """A point per policy that was run, in the order of ``_MARKERS``."""
    by_policy = {policy: [r for r in ran if r.spec.database == policy] for policy in _MARKERS}
    found = {policy: mine for policy, mine in by_policy.items() if mine}
    x = [np.mean([rewrites(r) for r in mine]) for mine in found.values()]
    y = [np.mean([r.rounds[-1].metrics[key] for r in mine]) for mine in found.values()]
    return Curve(np.array(x), np.array(y), at=list(found))


def _fill(look: Look) -> dict[str, Any]:
    """The marker tells the policy, so methods of one colour differ in its filling, as in their dashes."""
    return {"color": look.color, "markerfacecolor": look.color if look.linestyle == "solid" else "white"}


def _draw(axis: Any, curves: Mapping[str, Curve], styles: Mapping[str, Look]) -> None:
    for label, curve in curves.items():
        axis.plot(curve.x, curve.y, linewidth=0.9, label=label, **styles[label].line)
        for policy, x, y in zip(curve.at, curve.x, curve.y, strict=True):
            axis.plot([x], [y], marker=_MARKERS[policy], linestyle="none", **_fill(styles[label]))
    for policy, marker in _MARKERS.items():
        if any(policy in curve.at for curve in curves.values()):
            axis.plot([], [], marker=marker, color="black", linestyle="none", label=policy)
