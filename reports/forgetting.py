"""Forgetting along a class-incremental stream: mAP by round on queries of earlier classes."""

from collections.abc import Sequence

import numpy as np

from bench.reporting import Axes, Curve, Direction, Figure, Results, RunRecord, Values, definition, lines
from bench.reports._stream import class_incremental, old_queries


def render(results: Results) -> Figure:
    """Round t has the queries all of whose classes were introduced before t."""

    def pairs(ran: Sequence[RunRecord], direction: Direction) -> list[tuple[Values, Values]]:
        return [old_queries(r, direction, results.evidence) for r in ran]

    def curve(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        return Curve.mean(*_aligned([score for score, _ in pairs(ran, direction)]))

    def chance(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        x, y = _aligned([level for _, level in pairs(ran, direction)])
        return Curve(x[0], np.mean(y, axis=0))

    return lines(
        class_incremental(results),
        title="Old classes along the stream",
        axes=Axes(x="round", y="mAP on old classes", counts=True),
        caption=(
            f"{definition('map')}, of the queries whose last class was introduced in an earlier round",
            "mean over queries, then over seeds; band: standard deviation over seeds; rounds count from 0",
            "chance: of the same queries; it falls as items of new classes arrive, and mAP with it",
        ),
        curve=curve,
        chance=chance,
    )


def _aligned(values: Sequence[Values]) -> tuple[list[Values], list[Values]]:
    """Rounds and values of curves, cut to the shortest."""
    rounds = min(map(len, values))
    return [np.arange(1, rounds + 1, dtype=np.float64)] * len(values), [v[:rounds] for v in values]
