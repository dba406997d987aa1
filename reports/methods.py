"""All installed methods: their needs and origin, and their mAP on Wiki at 32 bits."""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.records import SINCE
from bench.reporting import (
    STALE,
    Block,
    Column,
    Entry,
    Method,
    Results,
    Row,
    RunRecord,
    Table,
    definition,
    fidelity,
    kind_of,
    protocols,
    short,
)
from bench.reports import _published

_DATASET, _BITS = "wiki", 32
_SWEPT = ("database",)
_PROTOCOL = ("schedule", "pool", "evaluate", *SINCE, "data")
_COLUMNS = (
    *(Column(name, align="left") for name in ("method", "year", "labels", "training")),
    *(Column(name, align="left") for name in ("database codes", "algorithm")),
    Column("state"),
    *(Column(name, group="Wiki I→T / T→I") for name in ("learned", "reindexed", "authors' code")),
)
_CAPTION = (
    f"{definition('map')}, after the last round, mean over seeds, {_BITS} bits, default parameters",
    "learned, reindexed: our runs, by database codes; authors' code: learned codes, ties in stored order",
    "state: bytes of the learned state after the last round",
    "re-hashed: the method itself changes the learned codes of old items",
    "quantised: ranked by another distance than Hamming's, with as many bits an item",
)


def render(results: Results) -> Table:
    """One row per installed method, one block per protocol; two policies of the database are two columns.

    Records of other datasets, lengths or parameters are not read.
    """
    ours = results.select(
        lambda r: (
            (r.spec.dataset, r.spec.bits, r.spec.val) == (_DATASET, _BITS, 0)
            and not r.spec.params
            and len(r.rounds) > 0
        )
    )
    return Table.of("Methods", _parts(ours))


def _parts(results: Results) -> Iterator[tuple[Block, list[dict[str, Any]]]]:
    """A block for every protocol; without any records, one that says nothing about protocols."""
    theirs, methods = _authors(), results.installed_methods()
    if not results.records:
        rows = [_data(name, cls, (), theirs) for name, cls in methods.items()]
        yield _block(rows, (), set()), rows
        return
    for p in protocols(results, swept=_SWEPT):
        known = p.columns(p.records[0]) | {"pool": p.pool}
        columns = {name: known[name] for name in _PROTOCOL}
        rows = [{**_data(name, cls, p.records, theirs), **columns} for name, cls in methods.items()]
        stale = {r.spec.method for r in p.records if r.spec.key in results.stale}
        yield _block(rows, p.caption(metric="map", swept=_SWEPT), stale, p.slug), rows


def _block(
    data: Sequence[Mapping[str, Any]], caption: Sequence[str], stale: set[str], protocol: str = ""
) -> Block:
    return Block(
        caption=(*_CAPTION, *caption),
        columns=_COLUMNS,
        rows=tuple(_row(row, row["method"] in stale) for row in data),
        notes=(
            *(f"{STALE} stale: {name}" for name in sorted(stale)),
            *_modified(data),
            *(f"{row['method']}: {row['paper']}" for row in data if row["paper"]),
        ),
        protocol=protocol,
    )


def _modified(data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in data:
        if kind_of(row["algorithm"]) == "modified":
            yield f"{row['method']}: {row['algorithm']}; preset=authors is the authors' algorithm"


def _authors() -> dict[tuple[str, str], float]:
    """(method, direction) → the value of the authors' own code on the same data."""
    numbers = (p for p in _published.load() if p.dataset == _DATASET and p.bits == _BITS)
    return {(p.method, p.direction): p.value for p in numbers}


def _data(
    name: str, cls: type[Method], ours: Sequence[RunRecord], theirs: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
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
    if needs.reference == "oracle":
        return "also in encode"
    if not needs.supervised:
        return "no"
    return "optional" if needs.label_free else "yes"


def _codes(cls: type[Method]) -> str:
    if cls.capabilities.reference == "real-valued":
        return "real-valued"
    if cls.capabilities.distance != "hamming":
        return f"quantised, {cls.capabilities.distance}"
    if not cls.capabilities.learned_codes:
        return "hashed"
    return "learned, re-hashed" if cls.update_database is not Method.update_database else "learned"


def _map(record: RunRecord, direction: str) -> float:
    return record.rounds[-1].metrics[f"map/{direction}"]


def _mean(records: Sequence[RunRecord], value: Callable[[RunRecord], float]) -> float | None:
    return statistics.fmean(value(r) for r in records) if records else None


def _row(row: Mapping[str, Any], old: bool) -> Row:
    names = ("method", "year", "labels", "training", "database_codes")
    state = row["state_bytes"]
    return (
        *(Entry(row[name] or "–") for name in names),
        Entry(kind_of(row["algorithm"])),
        Entry(f"{state / 1000:.0f} kB" if state is not None else "–"),
        *(Entry(_pair(row, source), extra=STALE if old else "") for source in ("learned", "reindexed")),
        Entry(_pair(row, "authors")),
    )


def _pair(row: Mapping[str, Any], source: str) -> str:
    values = [row[f"{source}/{d}"] for d in ("i2t", "t2i")]
    return "–" if None in values else " / ".join(map(short, values))
