"""Every method there is: what it needs, where it comes from, and what it scores on Wiki at 32 bits."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.api import Method, fidelity
from bench.plugins import registry
from bench.records import RunRecord, kind_of
from bench.reporting.tables import Block, Cell, Column, Table
from bench.reports import _published
from bench.reports._metric import definition
from bench.reports._protocol import STALE, Stale, protocols

_DATASET, _BITS = "wiki", 32
_SWEPT = ("database",)
_PROTOCOL = ("schedule", "pool", "evaluate", "labelled", "paired", "data")
_COLUMNS = (
    Column("method", align="left"),
    Column("year", align="left"),
    Column("labels", align="left"),
    Column("training", align="left"),
    Column("database codes", align="left"),
    Column("algorithm", align="left"),
    Column("state"),
    Column("learned", group="Wiki I→T / T→I"),
    Column("reindexed", group="Wiki I→T / T→I"),
    Column("authors' code", group="Wiki I→T / T→I"),
)
_CAPTION = (
    f"{definition('map')}, after the last round, mean over seeds, {_BITS} bits, default parameters",
    "learned, reindexed: our runs by whose codes the database holds; authors' code: learned, ties as stored",
    "state: bytes of the learned state after the last round",
    "re-hashed: the method itself changes the learned codes of old items",
)


def render(records: Sequence[RunRecord], *, stale: Stale | None = None) -> Table:
    """One row per installed method, one block per protocol; two policies of the database are two columns.

    Records of other datasets, lengths or parameters are not read.
    """
    ours = [
        r
        for r in records
        if r.spec.dataset == _DATASET
        and r.spec.bits == _BITS
        and not r.spec.params
        and r.rounds
        and not r.spec.val
    ]
    theirs = _authors()
    blocks, data = [], []
    for ran, told, columns in _parts(ours):
        rows = [{**_data(name, ran, theirs), **columns} for name in registry.names("method")]
        blocks.append(_block(rows, told, {r.spec.method for r in ran if r.spec.key in (stale or {})}))
        data += rows
    return Table(title="Methods", blocks=tuple(blocks), data=data)


def _parts(
    records: Sequence[RunRecord],
) -> Iterator[tuple[Sequence[RunRecord], Sequence[str], dict[str, Any]]]:
    """Records of one protocol, with its words and its columns; without any records nothing of all that."""
    if not records:
        yield (), (), {}
        return
    for p in protocols(records, swept=_SWEPT):
        known = p.columns(p.records[0]) | {"pool": p.pool}
        yield p.records, p.caption(metric="map", swept=_SWEPT), {name: known[name] for name in _PROTOCOL}


def _block(data: Sequence[Mapping[str, Any]], told: Sequence[str], old: set[str]) -> Block:
    return Block(
        caption=(*_CAPTION, *told),
        columns=_COLUMNS,
        rows=tuple(_row(entry, entry["method"] in old) for entry in data),
        notes=(
            *(f"{STALE} stale: {name}" for name in sorted(old)),
            *_modified(data),
            *(f"{entry['method']}: {entry['paper']}" for entry in data if entry["paper"]),
        ),
    )


def _modified(data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in data:
        if kind_of(entry["algorithm"]) == "modified":
            yield f"{entry['method']}: {entry['algorithm']}; preset=authors is the authors' algorithm"


def _authors() -> dict[tuple[str, str], float]:
    """(method, direction) → what the authors' own code gave on the same data."""
    found = (p for p in _published.load() if p.dataset == _DATASET and p.bits == _BITS)
    return {(p.method, p.direction): p.value for p in found}


def _data(name: str, ours: Sequence[RunRecord], theirs: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    cls: type[Method] = registry.get("method", name)
    mine = [r for r in ours if r.spec.method == name]
    scores = {
        (database, d): _mean([r for r in mine if r.spec.database == database], lambda r, d=d: _map(r, d))  # type: ignore[misc]
        for database in ("learned", "reindexed")
        for d in ("i2t", "t2i")
    }
    years = re.findall(r"\b(?:19[3-9]|20[0-2])[0-9]\b", cls.source.paper)  # pages and arXiv numbers are not
    return {
        "method": name,
        "year": max(years, default=""),
        "labels": _labels(cls),
        "training": "offline" if cls.capabilities.offline else "online",
        "database_codes": _codes(cls),
        "algorithm": fidelity(cls, {}),
        "state_bytes": _mean(mine, lambda r: r.rounds[-1].state_bytes),
        **{f"{database}/{d}": value for (database, d), value in scores.items()},
        **{f"authors/{d}": theirs.get((name, d)) for d in ("i2t", "t2i")},
        "paper": cls.source.paper,
    }


def _labels(cls: type[Method]) -> str:
    needs = cls.capabilities
    if needs.oracle:
        return "also in encode"
    if not needs.supervised:
        return "no"
    return "optional" if needs.label_free else "yes"


def _codes(cls: type[Method]) -> str:
    if cls.capabilities.real_valued:
        return "real-valued"
    if not cls.capabilities.learned_codes:
        return "hashed"
    return "learned, re-hashed" if cls.update_database is not Method.update_database else "learned"


def _map(record: RunRecord, direction: str) -> float:
    return record.rounds[-1].metrics[f"map/{direction}"]


def _mean(records: Sequence[RunRecord], value: Callable[[RunRecord], float]) -> float | None:
    return statistics.fmean(value(r) for r in records) if records else None


def _row(entry: Mapping[str, Any], old: bool) -> tuple[Cell, ...]:
    words = ("method", "year", "labels", "training", "database_codes")
    state = entry["state_bytes"]
    return (
        *(Cell(entry[word] or "–") for word in words),
        Cell(kind_of(entry["algorithm"])),
        Cell(f"{state / 1000:.0f} kB" if state is not None else "–"),
        *(Cell(_pair(entry, source), extra=STALE if old else "") for source in ("learned", "reindexed")),
        Cell(_pair(entry, "authors")),
    )


def _pair(entry: Mapping[str, Any], source: str) -> str:
    values = [entry[f"{source}/{d}"] for d in ("i2t", "t2i")]
    return "–" if None in values else " / ".join(f"{v:.3f}".removeprefix("0") for v in values)
