"""What rewriting old codes buys: mAP against the stored bits rewritten, for every database policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.errors import ParameterError
from bench.figures import Figure
from bench.records import DATABASES, Direction, RunRecord
from bench.reports._grid import metric_title
from bench.reports._panels import Axes, Curve, Part, by_label, lines, part_name
from bench.reports._protocol import Protocol, dataset_of, word
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
    title = metric_title(metric)

    def curves(chosen: Sequence[RunRecord], direction: Direction) -> dict[str, Curve]:
        key = f"{metric}/{direction}"
        found = by_label([r for r in chosen if key in r.rounds[-1].metrics])
        return {label: _points(ran, key) for label, ran in found.items()}

    return lines(
        several,
        title="Rehash economics",
        axes=Axes(x="rewrites per stored bit", y=title),
        caption=(
            f"{title} after the last round against how often a stored bit was rewritten on average along the "
            + "stream, mean over seeds, a point per method and database policy",
            *(f"{name}: {text}" for name, text in DATABASES.items()),
        ),
        curves=curves,
        stale=stale or {},
        cast=cast,
        draw=_draw,
        among=_parts(several),
    )


def _parts(records: Sequence[RunRecord]) -> list[Part]:
    """Runs that differ in method, bits, seed and database only, by dataset."""
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for r in records:
        s = r.spec
        protocol = replace(s, method="", params={}, bits=0, seed=0, database="reindexed", pool="")
        groups.setdefault((protocol.key, r.data), []).append(r)
    found: list[Part] = []
    for ran in groups.values():
        pool = next((r.spec.pool for r in ran if r.spec.pool != "none"), "none")
        part = Protocol(pool=pool, records=tuple(ran))
        found.append(Part(part, part_name(len(found), dataset_of(ran[0])), part.caption()[1:]))
    return found


def rewrites(record: RunRecord) -> float:
    """How often a stored bit was rewritten, mean over all bits of the final database, both modalities."""
    flips = sum(r.bits_rewritten or 0 for r in record.rounds)
    return flips / (2 * record.spec.bits * record.rounds[-1].items)


def _points(ran: Sequence[RunRecord], key: str) -> Curve:
    """A point per policy, in the order of ``_MARKERS``; a policy that was not run has NaN."""
    x, y = [], []
    for policy in _MARKERS:
        mine = [r for r in ran if r.spec.database == policy and not word(r)]
        x.append(np.mean([rewrites(r) for r in mine]) if mine else np.nan)
        y.append(np.mean([r.rounds[-1].metrics[key] for r in mine]) if mine else np.nan)
    return Curve(np.array(x), np.array(y))


def _fill(look: Look) -> dict[str, Any]:
    """The marker tells the policy, so methods of one colour differ in its filling, as in their dashes."""
    return {"color": look.color, "markerfacecolor": look.color if look.linestyle == "solid" else "white"}


def _draw(axis: Any, curves: Mapping[str, Curve], styles: Mapping[str, Look]) -> None:
    for label, curve in curves.items():
        known = ~np.isnan(curve.y)
        axis.plot(curve.x[known], curve.y[known], linewidth=0.9, label=label, **styles[label].line)
        for marker, x, y in zip(_MARKERS.values(), curve.x, curve.y, strict=True):
            axis.plot([x], [y], marker=marker, linestyle="none", **_fill(styles[label]))
    for i, (policy, marker) in enumerate(_MARKERS.items()):
        if any(not np.isnan(curve.y[i]) for curve in curves.values()):
            axis.plot([], [], marker=marker, color="black", linestyle="none", label=policy)
