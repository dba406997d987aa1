"""Precision against recall by rank, expected over the orders of tied items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.records import Direction, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.figures import Figure
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
            searches = [evidence.search(r, direction) for r in ran]
            cuts = np.mean([s.cuts for s in searches], axis=0)
            found[label] = Curve.mean([s.ranks[1] for s in searches], [s.ranks[0] for s in searches], cuts)
        return found

    return lines(
        records,
        title="Precision and recall by rank",
        axes=Axes(x="recall", y="precision", unit=True, at="N"),
        caption=(
            "precision and recall among the first N items, expected over the orders of tied items",
            "N from 1 to the whole database, where the precision is the chance level",
            "after the last round, mean over queries, then over seeds; band: standard deviation over seeds",
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
    )
