"""Precision among the first N items, expected over the orders of tied items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.records import Direction, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.figures import Figure
from bench.reports._panels import BASELINE, Axes, Curve, by_label, lines


def render(
    records: Sequence[RunRecord],
    *,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """After the last round; where N is the whole database all methods meet at the base rate."""
    evidence = Evidence.of(arrays, "precision_at")

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        found = {}
        for label, ran in by_label(chosen).items():
            searches = [evidence.search(r, direction) for r in ran]
            found[label] = Curve.mean([s.cuts for s in searches], [s.ranks[0] for s in searches])
        rate = next(iter(found.values()))
        found[BASELINE] = Curve(rate.x, rate.y[-1].repeat(len(rate.x)))
        return found

    return lines(
        records,
        title="Precision at N",
        axes=Axes(x="N", y="precision", xscale="log"),
        caption=(
            "precision among the first N items, expected over the orders of tied items",
            "after the last round, mean over queries, then over seeds; band: standard deviation over seeds",
            "chance: the share of relevant items in the database",
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
    )
