"""Precision among the first N items, expected over the orders of tied items."""

from collections.abc import Sequence

from bench.reporting import Axes, Curve, Direction, Figure, Results, RunRecord, Search, by_label
from bench.reports._searches import AFTER, search_lines


def render(results: Results) -> Figure:
    """After the last round; where N is the whole database all methods meet at the base rate."""

    def chance(ran: Sequence[RunRecord], direction: Direction) -> Curve:
        first = next(iter(by_label(ran).values()))
        rate = _curve([results.evidence.search(r, direction) for r in first])
        return Curve(rate.x, rate.y[-1].repeat(len(rate.x)))

    return search_lines(
        results,
        _curve,
        chance=chance,
        title="Precision at N",
        axes=Axes(x="N", y="precision", xscale="log"),
        caption=(
            "precision among the first N items, expected over the orders of tied items",
            AFTER,
            "chance: the share of relevant items in the database",
        ),
    )


def _curve(found: Sequence[Search]) -> Curve:
    return Curve.mean([s.cuts for s in found], [s.ranks[0] for s in found])
