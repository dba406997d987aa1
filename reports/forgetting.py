"""What a class-incremental stream does to the past: mAP by round on queries of classes seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.records import Direction, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.figures import Figure
from bench.reports._metric import definition
from bench.reports._panels import BASELINE, Axes, Curve, by_label, lines
from bench.reports._retention import class_incremental, old_queries


def render(
    records: Sequence[RunRecord],
    *,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """Round t has the queries all of whose classes were introduced before t."""
    evidence = Evidence.of(arrays, "forgetting")

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        found: dict[str, Curve] = {}
        baseline = []
        for label, ran in by_label(chosen).items():
            pairs = [old_queries(r, direction, evidence) for r in ran]
            rounds = min(len(score) for score, _ in pairs)
            x = np.arange(1, rounds + 1, dtype=np.float64)
            found[label] = Curve.mean([x] * len(pairs), [score[:rounds] for score, _ in pairs])
            baseline += [chance for _, chance in pairs]
        rounds = min(map(len, baseline))
        x = np.arange(1, rounds + 1, dtype=np.float64)
        found[BASELINE] = Curve(x, np.mean([chance[:rounds] for chance in baseline], axis=0))
        return found

    return lines(
        class_incremental(records, "forgetting"),
        title="Old classes along the stream",
        axes=Axes(x="round", y="mAP on old classes", markers=True, whole=True),
        caption=(
            f"{definition('map')}, of the queries whose last class was introduced in an earlier round",
            "mean over queries, then over seeds; band: standard deviation over seeds; rounds count from 0",
            "chance: of the same queries; it falls as items of new classes arrive, and mAP with it",
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
    )
