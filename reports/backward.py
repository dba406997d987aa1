"""Backward transfer and forgetting of class-incremental streams, beside what chance alone would lose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.records import DIRECTIONS, Direction, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._metric import definition
from bench.reports._protocol import DIRECTION_NAMES, STALE, Protocol, Stale, protocols
from bench.reports._retention import backward_transfer, class_incremental, forgetting, groups

_CAPTION = (
    f"{definition('map')}, of the queries of each round",
    "backward transfer: mAP of the queries of a round after the last round, minus right after theirs, mean "
    + "over all rounds but the last; negative is forgotten",
    "in brackets forgetting: the fall from their best round to the last; both mean over seeds",
    "chance in the last row: what equal codes would lose, because items of new classes dilute the database",
)


def render(
    records: Sequence[RunRecord], *, arrays: Arrays | None = None, stale: Mapping[str, str] | None = None
) -> Table:
    """One block per protocol; columns by dataset, direction and bits."""
    evidence = Evidence.of(arrays, "backward")
    blocks: list[Block] = []
    data: list[dict[str, Any]] = []
    for protocol in protocols(class_incremental(records, "backward")):
        rows = list(_rows(protocol, evidence))
        blocks.append(_block(protocol, rows, stale or {}))
        data += rows
    return Table(title="Backward transfer", blocks=tuple(blocks), data=data)


def _rows(protocol: Protocol, evidence: Evidence) -> list[dict[str, Any]]:
    """One for every method, dataset, direction and code length."""
    found: dict[tuple[str, str, Direction, int], list[RunRecord]] = {}
    for dataset, ran in protocol.datasets.items():
        for r in ran:
            if not r.word:
                for direction in r.spec.directions:
                    found.setdefault((r.spec.label, dataset, direction, r.spec.bits), []).append(r)
    rows = []
    for (_, _, direction, _), ran in found.items():
        matrices = [groups(r, direction, evidence) for r in ran]
        rows.append(
            {
                **protocol.columns(ran[0]),
                "direction": direction,
                "seeds": len(ran),
                "backward_transfer": float(np.mean([backward_transfer(s) for s, _ in matrices])),
                "forgetting": float(np.mean([forgetting(s) for s, _ in matrices])),
                "chance_backward_transfer": float(np.mean([backward_transfer(c) for _, c in matrices])),
            }
        )
    return rows


def _block(protocol: Protocol, rows: Sequence[Mapping[str, Any]], stale: Stale) -> Block:
    datasets = list(protocol.datasets)
    places = sorted(
        {(datasets.index(r["dataset"]), DIRECTIONS.index(r["direction"]), r["bits"]) for r in rows}
    )

    def entry(place: tuple[int, int, int], label: str | None) -> Mapping[str, Any] | None:
        for r in rows:
            here = datasets.index(r["dataset"]), DIRECTIONS.index(r["direction"]), r["bits"]
            if here == place and label in (None, r["method"]):
                return r
        return None

    def cell(place: tuple[int, int, int], label: str) -> Entry:
        found = entry(place, label)
        if found is None:
            return Entry()
        value = found["backward_transfer"]
        return Entry(_short(value), value, below=f"({_short(found['forgetting'])})")

    def chance(place: tuple[int, int, int]) -> Entry:
        found = entry(place, None)
        return Entry(_short(found["chance_backward_transfer"])) if found else Entry()

    def column(place: tuple[int, int, int]) -> Column:
        dataset, direction, bits = place
        group = f"{datasets[dataset]} {DIRECTION_NAMES[DIRECTIONS[direction]]}"
        return Column(f"{bits} bits", group=group, better="higher")

    marks = protocol.marks()
    references = protocol.references()
    old = {r.spec.label for r in protocol.records if stale and r.spec.key in stale}
    lines = {
        label: (
            Entry(label, extra=mark + (STALE if label in old else "")),
            *(cell(place, label) for place in places),
        )
        for label, mark in marks.items()
    }
    return Block(
        caption=(*_CAPTION, *protocol.caption()),
        columns=(Column("method", align="left"), *map(column, places)),
        rows=tuple(row for label, row in lines.items() if label not in references),
        foot=(
            *(row for label, row in lines.items() if label in references),
            (Entry("chance"), *map(chance, places)),
        ),
        notes=protocol.notes(stale),
    )


def _short(value: float) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:+.3f}".replace("-", "−")
