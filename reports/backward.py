"""Backward transfer and forgetting of class-incremental streams, beside what chance alone would lose."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.reporting import (
    DIRECTION_NAMES,
    DIRECTIONS,
    Block,
    Column,
    Direction,
    Entry,
    Protocol,
    Results,
    RunRecord,
    Table,
    definition,
    protocols,
)
from bench.reports._stream import backward_transfer, class_incremental, forgetting, groups

_CAPTION = (
    f"{definition('map')}, of the queries of each round",
    "backward transfer: mAP of a round's queries after the last round minus right after their own, mean "
    + "over all rounds but the last; negative means forgotten",
    "in brackets forgetting: the drop from their best round to the last; both are means over seeds",
    "chance in the last row: the loss with equal codes, because items of new classes dilute the database",
)
_Place = tuple[int, int, int]  # dataset, direction, bits


def render(results: Results) -> Table:
    """One block per protocol; columns by dataset, direction and bits."""
    parts = ((p, _rows(p)) for p in protocols(class_incremental(results)))
    return Table.of("Backward transfer", ((_block(protocol, rows), rows) for protocol, rows in parts))


def _rows(protocol: Protocol) -> list[dict[str, Any]]:
    """One for every method, dataset, direction and code length."""
    cells: dict[tuple[str, str, Direction, int], list[RunRecord]] = {}
    for dataset, records in protocol.datasets.items():
        for r in records:
            if not r.word:
                for direction in r.spec.directions:
                    cells.setdefault((r.spec.label, dataset, direction, r.spec.bits), []).append(r)
    rows = []
    for (_, _, direction, _), records in cells.items():
        matrices = [groups(r, direction, protocol.results.evidence) for r in records]
        rows.append(
            {
                **protocol.columns(records[0]),
                "direction": direction,
                "seeds": len(records),
                "backward_transfer": float(np.mean([backward_transfer(s) for s, _ in matrices])),
                "forgetting": float(np.mean([forgetting(s) for s, _ in matrices])),
                "chance_backward_transfer": float(np.mean([backward_transfer(c) for _, c in matrices])),
            }
        )
    return rows


def _block(protocol: Protocol, rows: Sequence[Mapping[str, Any]]) -> Block:
    datasets = list(protocol.datasets)
    by_place: dict[_Place, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        place = datasets.index(row["dataset"]), DIRECTIONS.index(row["direction"]), row["bits"]
        by_place.setdefault(place, {})[row["method"]] = row
    places = sorted(by_place)

    def column(place: _Place) -> Column:
        dataset, direction, bits = place
        group = f"{datasets[dataset]} {DIRECTION_NAMES[DIRECTIONS[direction]]}"
        return Column(f"{bits} bits", group=group, better="higher")

    lines = {
        label: (protocol.name(label), *(_entry(by_place[place].get(label)) for place in places))
        for label in protocol.marks
    }
    below = [line for label, line in lines.items() if label in protocol.references]
    chance = (next(iter(by_place[place].values()))["chance_backward_transfer"] for place in places)
    return Block(
        caption=(*_CAPTION, *protocol.caption()),
        columns=(Column("method", align="left"), *map(column, places)),
        rows=tuple(line for label, line in lines.items() if label not in protocol.references),
        foot=(*below, (Entry("chance"), *(Entry(_short(value)) for value in chance))),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _entry(row: Mapping[str, Any] | None) -> Entry:
    if row is None:
        return Entry()
    value = row["backward_transfer"]
    return Entry(_short(value), value, below=f"({_short(row['forgetting'])})")


def _short(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")
