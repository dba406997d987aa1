"""Rehash economics: mAP against the stored bits rewritten, for every database policy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.reporting import (
    DATABASES,
    Axes,
    Curve,
    Direction,
    Figure,
    Look,
    Metric,
    ParameterError,
    Results,
    RunRecord,
    definition,
    lines,
    metric_title,
)

_MARKERS = {"frozen": "s", "reindexed": "o", "learned": "^", "every": "v", "budget": "D", "trigger": "P"}


def render(results: Results, *, metric: Metric = "map") -> Figure:
    """One point per method and policy, mean over seeds; only runs in which every round was evaluated.

    The policies are different protocols, which share a panel here on purpose: their markers distinguish
    them. References are left out.
    """
    several = results.select(lambda r: r.spec.evaluate == "all" and not r.reference and len(r.rounds) > 1)
    if not several.records:
        raise ParameterError(
            f"none of {len(results)} cells was evaluated in every round of several, so its rewritten bits "
            "are unknown. Run with --evaluate all."
        )

    def curve(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        return _points(ran, f"{metric}/{direction}")

    return lines(
        several,
        title="Rehash economics",
        axes=Axes(x="rewrites per stored bit", y=metric_title(metric), at="database"),
        caption=(
            f"{definition(metric)}, after the last round, mean over seeds",
            "against how often a stored bit was rewritten on average along the stream",
            "a point per method and database policy",
            *(f"{name}: {text}" for name, text in DATABASES.items()),
            *(f"{policy}: old items are encoded again by this policy" for policy in _chosen(several)),
        ),
        curve=curve,
        draw=_draw,
        metric=metric,
        swept=("database", "rehash"),
    )


def _policy(record: RunRecord) -> str:
    """The database, or the policy of rehashing where one is set."""
    return record.spec.database if record.spec.rehash == "always" else record.spec.rehash


def _chosen(results: Results) -> list[str]:
    return sorted({_policy(r) for r in results} - {*DATABASES})


def rewrites(record: RunRecord) -> float:
    """How often a stored bit was rewritten, mean over all bits of the final database, both modalities."""
    rounds = record.over("all").rounds
    flips = sum(r.bits_rewritten or 0 for r in rounds)
    return flips / (2 * record.spec.bits * rounds[-1].items)


def _points(ran: Sequence[RunRecord], key: str) -> Curve:
    """A point per policy that was run, in the order of ``_MARKERS``."""
    kinds = list(_MARKERS)
    policies = sorted({_policy(r) for r in ran}, key=lambda p: (kinds.index(p.partition(":")[0]), p))
    run = {policy: [r for r in ran if _policy(r) == policy] for policy in policies}
    x = [np.mean([rewrites(r) for r in mine]) for mine in run.values()]
    y = [np.mean([r.rounds[-1].metrics[key] for r in mine]) for mine in run.values()]
    return Curve(np.array(x), np.array(y), at=list(run))


def _fill(look: Look) -> dict[str, Any]:
    """The marker shows the policy, so methods of one colour differ in its filling, as in their dashes."""
    return {"color": look.color, "markerfacecolor": look.color if look.linestyle == "solid" else "white"}


def _draw(axis: Any, curves: Mapping[str, Curve], styles: Mapping[str, Look]) -> None:
    for label, curve in curves.items():
        axis.plot(curve.x, curve.y, linewidth=0.9, label=label, **styles[label].line)
        for policy, x, y in zip(curve.at, curve.x, curve.y, strict=True):
            axis.plot(
                [x], [y], marker=_MARKERS[policy.partition(":")[0]], linestyle="none", **_fill(styles[label])
            )
    for policy in dict.fromkeys(policy for curve in curves.values() for policy in curve.at):
        marker = _MARKERS[policy.partition(":")[0]]
        axis.plot([], [], marker=marker, color="black", linestyle="none", label=policy)
