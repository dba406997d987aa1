"""Cost at one million items, extrapolated linearly from the runs, not measured."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.reporting import (
    PARALLEL,
    PARALLEL_NOTE,
    Block,
    Column,
    Entry,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    by_dataset,
    by_row,
    clock,
    clock_line,
    duration,
    parallel,
    size,
)

ITEMS = 1_000_000
_CAPTION = (
    f"EXTRAPOLATED to {ITEMS:,} items, linearly from those of each run: nothing was measured at that size",
    "fit: all fits of a stream of which every item is trained on; encode: every item on arrival, both "
    + "modalities; re-encode: all once more",
    "search: one query in one direction; index: the codes of both modalities",
)


def render(results: Results) -> Table:
    """Mean over seeds; one block per protocol and dataset, rows by method and code length."""
    parts = ((part, [_row(part, ran) for ran in by_row(part.records)]) for part in by_dataset(results))
    title = "Cost at one million items, extrapolated"
    return Table.of(title, ((_block(part, rows), rows) for part, rows in parts))


def _row(part: Protocol, records: Sequence[RunRecord]) -> dict[str, Any]:
    ran = [r.over("all") for r in records if not r.word]

    cpu = clock(part.records)

    def mean(value: Callable[[RunRecord], float | None]) -> float | None:
        values = [v for r in ran if (v := value(r)) is not None]
        return statistics.fmean(values) if values else None

    binary = bool(ran) and ran[0].reference != "real-valued"
    return {
        **part.columns(records[0]),
        "items_measured": ran[0].rounds[-1].items if ran else None,
        "fit_seconds": mean(partial(_fit, cpu=cpu)),
        "encode_seconds": mean(partial(_encode, cpu=cpu)),
        "reencode_seconds": mean(partial(_reencode, cpu=cpu)),
        "search_seconds_per_query": mean(partial(_search, cpu=cpu)),
        "index_bytes": 2 * ITEMS * records[0].spec.bits / 8 if binary else None,
        "state_bytes": mean(lambda r: float(r.rounds[-1].state_bytes)),
        "parallel": parallel(ran),
    }


def _fit(record: RunRecord, *, cpu: str) -> float:
    spent = sum(r.seconds.get("fit_cpu", 0.0) for r in record.rounds) if cpu else sum(record.fit_seconds)
    return spent / record.trained_items * ITEMS


def _encode(record: RunRecord, *, cpu: str) -> float | None:
    """Items are encoded once, on arrival; learned codes come with the fit and are not encoded."""
    if record.spec.database == "learned":
        return None
    spent = sum(r.seconds.get(f"encode_database{cpu}", 0.0) for r in record.rounds)
    return spent / record.rounds[-1].items * ITEMS


def _reencode(record: RunRecord, *, cpu: str) -> float | None:
    """Measured on the rounds that re-encoded items already in the index."""
    pairs = [
        (a.items, b.seconds[f"rehash{cpu}"])
        for a, b in zip(record.rounds, record.rounds[1:], strict=False)
        if "rehash" in b.seconds and b.bits_rewritten is not None
    ]
    items = sum(n for n, _ in pairs)
    return sum(s for _, s in pairs) / items * ITEMS if items else None


def _search(record: RunRecord, *, cpu: str) -> float | None:
    last = record.rounds[-1]
    if "search" not in last.seconds or not last.queries:
        return None
    return last.seconds[f"search{cpu}"] / (last.queries * len(record.spec.directions)) / last.items * ITEMS


def _block(part: Protocol, rows: Sequence[Mapping[str, Any]]) -> Block:
    def entries(row: Mapping[str, Any]) -> Row:
        times = ("fit_seconds", "encode_seconds", "reencode_seconds", "search_seconds_per_query")
        return (
            part.name(row["method"], PARALLEL if row["parallel"] else ""),
            Entry(str(row["bits"])),
            *(Entry() if row[name] is None else Entry(duration(row[name])) for name in times),
            *(
                Entry() if row[name] is None else Entry(size(row[name]))
                for name in ("index_bytes", "state_bytes")
            ),
        )

    names = ("fit", "encode", "re-encode", "search", "index", "state")
    return Block(
        caption=(*_CAPTION, clock_line(clock(part.records)), *part.caption()),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            *(Column(name, group="extrapolated") for name in names),
        ),
        rows=tuple(map(entries, rows)),
        notes=(
            "state: bytes that the method keeps, as measured; those of an online method do not grow",
            *([PARALLEL_NOTE] if any(row["parallel"] for row in rows) else ()),
            *part.notes(),
        ),
        stub=2,
        protocol=part.slug,
    )
