"""Precision against recall within every Hamming radius: a function of the codes alone, free of ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.records import Direction, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.figures import Figure
from bench.reports._metric import WITHIN_RADIUS
from bench.reports._panels import Axes, Curve, by_label, lines


def render(
    records: Sequence[RunRecord],
    *,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """After the last round, mean over queries, then over seeds; methods without a radius are left out."""
    evidence = Evidence.of(arrays, "pr_radius")

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        found = {}
        for label, ran in by_label([r for r in chosen if r.reference != "real-valued"]).items():
            points = [evidence.search(r, direction).radius for r in ran]
            radii = range(len(points[0][0]))
            found[label] = Curve.mean([r for _, r in points], [p for p, _ in points], radii)
        return found

    return lines(
        records,
        title="Precision and recall by Hamming radius",
        axes=Axes(x="recall", y="precision", unit=True, at="radius"),
        caption=(
            "precision and recall of the items within radius 0, 1, …",
            "after the last round, mean over queries, then over seeds; band: standard deviation over seeds",
            *WITHIN_RADIUS,
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
    )
