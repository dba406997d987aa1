"""Forgetting: mAP on earlier classes along the stream, or what is remembered of deleted items."""

from collections.abc import Sequence

import numpy as np

from bench.reporting import Axes, Curve, Direction, Figure, Results, RunRecord, Values, definition, lines
from bench.reports._stream import Deletions, class_incremental, old_queries, remembered, with_deletions


def render(results: Results, *, deletions: Deletions = False) -> Figure:
    """Round t has the queries all of whose classes were introduced before t.

    With ``deletions``, it has the memory of deleted items: mAP over those that a method was trained on, less
    mAP over those that it never saw, as its current hash functions encode both.
    """
    return _of_deletions(with_deletions(results)) if deletions else _of_classes(class_incremental(results))


def _of_deletions(results: Results) -> Figure:
    def curve(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        parts = [remembered(r, direction) for r in ran]
        return Curve.mean([rounds for rounds, _, _ in parts], [gap for _, gap, _ in parts])

    def chance(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        rounds, _, levels = zip(*(remembered(r, direction) for r in ran), strict=True)
        return Curve(rounds[0], np.mean(levels, axis=0))

    return lines(
        results,
        title="Memory of deleted items",
        axes=Axes(x="round", y="mAP, trained less unseen", counts=True),
        caption=(
            f"{definition('map')}, over the items deleted so far, as the round's hash functions encode them: "
            + "over those that methods were trained on, less over those that no method saw",
            "0: deleted items are hashed as if they had never been learned",
            "mean over seeds; band: standard deviation over seeds; rounds count from 0",
            "chance: the same difference with equal codes, by the labels of both kinds of items",
        ),
        curve=curve,
        chance=chance,
    )


def _of_classes(results: Results) -> Figure:
    def pairs(ran: Sequence[RunRecord], direction: Direction) -> list[tuple[Values, Values]]:
        return [old_queries(r, direction, results.evidence) for r in ran]

    def curve(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        return Curve.mean(*_aligned([score for score, _ in pairs(ran, direction)]))

    def chance(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        x, y = _aligned([level for _, level in pairs(ran, direction)])
        return Curve(x[0], np.mean(y, axis=0))

    return lines(
        results,
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
