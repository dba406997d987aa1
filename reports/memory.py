"""How much of a score is memory: unseen items, trained items, and their learned codes, side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.reporting import (
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    ParameterError,
    Protocol,
    Results,
    RunRecord,
    Table,
    bootstrap,
    by_label,
    definition,
    protocols,
    short,
)
from bench.reports._scores import mean

_CAPTION = (
    f"{definition('map')}, after the last round, mean over seeds",
    "unseen: items that no method was trained on; trained: the others, both encoded by the final hash "
    + "functions; learned: the codes that training gave the trained items, which saw their labels",
    "below: the difference to unseen, with its 95 % bootstrap interval over queries and seeds",
)
_PARTS = ("unseen", "trained", "learned")
Scores = npt.NDArray[np.float32]  # the AP of every query
_Key = tuple[str, int, Direction]  # dataset, bits, direction


def render(results: Results) -> Table:
    """One block per protocol, dataset, code length and direction.

    Learned codes are those of cells with ``database=learned`` beside cells of the same study.
    Raises ParameterError where every cell was trained on all items.
    """
    split = results.select(lambda r: r.spec.divided)
    if not split.records:
        raise ParameterError("no cell left items out of training. Run with --train 0.5.")
    parts = protocols(split, swept=("database",))
    blocks = [(protocol, key) for protocol in parts for key in _keys(protocol)]
    return Table.of("Memory", ((_block(p, key, rows := _rows(p, key)), rows) for p, key in blocks))


def _keys(protocol: Protocol) -> list[_Key]:
    return list(
        dict.fromkeys(
            (dataset, r.spec.bits, direction)
            for dataset, records in protocol.datasets.items()
            for r in records
            if not r.word
            for direction in r.spec.directions
        )
    )


def _rows(protocol: Protocol, key: _Key) -> list[dict[str, Any]]:
    """One for every method; ``*_minus_unseen`` has ``_low`` and ``_high``."""
    dataset, bits, direction = key
    here = [r for r in protocol.datasets[dataset] if r.spec.bits == bits and not r.word]
    rows = []
    for records in by_label(here).values():
        scores = _scores(protocol, records, direction)
        row = {**protocol.columns(records[0]), "direction": direction, "database": "", "searched": ""}
        rows.append(row | {"seeds": len({r.spec.seed for r in records}), **_numbers(scores)})
    return rows


def _scores(
    protocol: Protocol, records: Sequence[RunRecord], direction: Direction
) -> Mapping[str, Mapping[int, Scores]]:
    """The AP of every query, by part of the database and seed."""
    evidence = protocol.results.evidence
    by_seed: dict[str, dict[int, Scores]] = {part: {} for part in _PARTS}
    for record in records:
        learned = record.spec.database == "learned"
        for part in ("learned",) if learned else ("unseen", "trained"):
            searched = record.over("trained" if learned else part)
            by_seed[part][record.spec.seed] = evidence.search(searched, direction).scores
    return by_seed


def _numbers(scores: Mapping[str, Mapping[int, Scores]]) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {
        part: float(np.mean([mean(s) for s in by_seed.values()])) if by_seed else None
        for part, by_seed in scores.items()
    }
    for part in _PARTS[1:]:
        seeds = sorted(scores[part].keys() & scores["unseen"].keys())
        names = [f"{part}_minus_unseen{end}" for end in ("", "_low", "_high")]
        if not seeds:
            numbers |= dict.fromkeys(names)
            continue
        gap = np.stack([scores[part][s].astype(np.float64) - scores["unseen"][s] for s in seeds])
        gap = gap[:, ~np.isnan(gap).any(axis=0)]
        [(low, high)] = bootstrap([gap])
        numbers |= dict(zip(names, (float(gap.mean()), low, high), strict=True))
    return numbers


def _block(protocol: Protocol, key: _Key, rows: Sequence[Mapping[str, Any]]) -> Block:
    dataset, bits, direction = key
    group = f"{dataset} {DIRECTION_NAMES[direction]}, {bits} bits"
    lines = {row["method"]: (protocol.name(row["method"]), *_entries(row)) for row in rows}
    rivals = [line for label, line in lines.items() if label not in protocol.references]
    return Block(
        caption=(*_CAPTION, *protocol.caption(swept=("database",))),
        columns=(
            Column("method", align="left"),
            *(Column(part, group=group, align="left", better="higher") for part in _PARTS),
        ),
        rows=tuple(rivals),
        foot=tuple(line for label, line in lines.items() if label in protocol.references),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _entries(row: Mapping[str, Any]) -> Iterator[Entry]:
    for part in _PARTS:
        value, gap = row[part], row.get(f"{part}_minus_unseen")
        if value is None:
            yield Entry()
            continue
        below = ""
        if gap is not None:
            low, high = (row[f"{part}_minus_unseen_{end}"] for end in ("low", "high"))
            below = f"{short(gap, signed=True)} [{short(low, signed=True)}, {short(high, signed=True)}]"
        yield Entry(short(value), value, below=below)
