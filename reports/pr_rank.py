"""Precision against recall by rank, expected over the orders of tied items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.evidence import Arrays, Evidence
from bench.figures import Figure
from bench.records import Direction, RunRecord
from bench.reports._panels import Axes, Curve, by_label, lines


def render(
    records: Sequence[RunRecord],
    *,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """After the last round, at ranks from 1 to the whole database; mean over queries, then over seeds."""
    evidence = Evidence.of(arrays, "pr_rank")

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        found = {}
        for label, ran in by_label(chosen).items():
            points = [evidence.search(r, direction).ranks for r in ran]
            found[label] = Curve.mean([r for _, r in points], [p for p, _ in points])
        return found

    return lines(
        records,
        title="Precision and recall by rank",
        axes=Axes(x="recall", y="precision", unit=True),
        caption=(
            "expected precision and recall among the first N items, N from 1 to the database",
            "after the last round, mean over queries, then over seeds; band: standard deviation over seeds",
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
    )
