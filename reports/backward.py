"""Backward transfer and forgetting of class-incremental streams, or what is remembered of deleted items."""

import math
from collections.abc import Callable, Mapping, Sequence
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
from bench.reports._stream import (
    Deletions,
    backward_transfer,
    class_incremental,
    forgetting,
    groups,
    remembered,
    with_deletions,
)

_CAPTION = (
    f"{definition('map')}, of the queries of each round",
    "backward transfer: mAP of a round's queries after the last round minus right after their own, mean "
    + "over all rounds but the last; negative means forgotten",
    "in brackets forgetting: the drop from their best round to the last; both are means over seeds",
    "chance in the last row: the loss with equal codes, because items of new classes dilute the database",
)
_DELETED = (
    f"{definition('map')}, over the items deleted by the end, as the last hash functions encode them: over "
    + "those that a method was trained on, less over those that it never saw; 0 means forgotten",
    "in brackets the kilobytes of state after the first evaluation and after the last; means over seeds",
    "chance in the last row: the same difference with equal codes, by the labels of both kinds of items",
)
_Place = tuple[int, int, int]  # dataset, direction, bits
_Numbers = Callable[[Sequence[RunRecord], Direction, Protocol], dict[str, float]]


def render(results: Results, *, deletions: Deletions = False) -> Table:
    """One block per protocol; columns by dataset, direction and bits.

    With ``deletions``, the numbers are the memory of deleted items after the last round, and state.
    """
    chosen = with_deletions(results) if deletions else class_incremental(results)
    numbers, caption = (_memory, _DELETED) if deletions else (_transfer, _CAPTION)
    parts = ((p, _rows(p, numbers)) for p in protocols(chosen))
    title = "Memory of deleted items" if deletions else "Backward transfer"
    return Table.of(title, ((_block(protocol, rows, caption), rows) for protocol, rows in parts))


def _transfer(records: Sequence[RunRecord], direction: Direction, protocol: Protocol) -> dict[str, float]:
    matrices = [groups(r, direction, protocol.results.evidence) for r in records]
    return {
        "backward_transfer": float(np.mean([backward_transfer(s) for s, _ in matrices])),
        "forgetting": float(np.mean([forgetting(s) for s, _ in matrices])),
        "chance_backward_transfer": float(np.mean([backward_transfer(c) for _, c in matrices])),
    }


def _memory(records: Sequence[RunRecord], direction: Direction, protocol: Protocol) -> dict[str, float]:
    last = [remembered(r, direction) for r in records]
    deleted = [r.rounds[-1].deleted["trained"].metrics[f"map/{direction}"] for r in records]
    return {
        "remembered": float(np.mean([gap[-1] for _, gap, _ in last])),
        "chance_remembered": float(np.mean([chance[-1] for _, _, chance in last])),
        "deleted_trained": float(np.mean(deleted)),
        "first_state_bytes": float(np.mean([r.rounds[0].state_bytes for r in records])),
        "state_bytes": float(np.mean([r.rounds[-1].state_bytes for r in records])),
    }


def _rows(protocol: Protocol, numbers: _Numbers) -> list[dict[str, Any]]:
    """One for every method, dataset, direction and code length."""
    cells: dict[tuple[str, str, Direction, int], list[RunRecord]] = {}
    for dataset, records in protocol.datasets.items():
        for r in records:
            if not r.word:
                for direction in r.spec.directions:
                    cells.setdefault((r.spec.label, dataset, direction, r.spec.bits), []).append(r)
    rows = []
    for (_, _, direction, _), records in cells.items():
        common = {**protocol.columns(records[0]), "direction": direction, "seeds": len(records)}
        rows.append({**common, **numbers(records, direction, protocol)})
    return rows


def _block(protocol: Protocol, rows: Sequence[Mapping[str, Any]], caption: tuple[str, ...]) -> Block:
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
    chance = (_chance(next(iter(by_place[place].values()))) for place in places)
    return Block(
        caption=(*caption, *protocol.caption()),
        columns=(Column("method", align="left"), *map(column, places)),
        rows=tuple(line for label, line in lines.items() if label not in protocol.references),
        foot=(*below, (Entry("chance"), *(Entry(_short(value)) for value in chance))),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _entry(row: Mapping[str, Any] | None) -> Entry:
    if row is None:
        return Entry()
    if "remembered" in row:  # neither much nor little is best
        state = (f"{row[name] / 1e3:.0f}" for name in ("first_state_bytes", "state_bytes"))
        return Entry(_short(row["remembered"]), None, below=f"({' → '.join(state)})")
    value = row["backward_transfer"]
    return Entry(_short(value), value, below=f"({_short(row['forgetting'])})")


def _chance(row: Mapping[str, Any]) -> float:
    value: float = row["chance_remembered"] if "remembered" in row else row["chance_backward_transfer"]
    return value


def _short(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")
