"""What one million items would cost, extrapolated linearly from what was measured: not measured itself."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.records import RunRecord
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._protocol import (
    PARALLEL,
    PARALLEL_NOTE,
    STALE,
    Protocol,
    Stale,
    by_method,
    protocols,
)

ITEMS = 1_000_000
_CAPTION = (
    f"EXTRAPOLATED to {ITEMS:,} items, linearly from those of each run: nothing was measured at that size",
    "fit: all fits of the stream; encode: every item on arrival, both modalities; re-encode: all once more",
    "search: one query in one direction; index: the codes of both modalities",
)


def render(records: Sequence[RunRecord], *, stale: Mapping[str, str] | None = None) -> Table:
    """Mean over seeds; one block per protocol and dataset, rows by method and code length."""
    blocks, data = [], []
    for protocol in protocols(records):
        for found in protocol.datasets.values():
            part = Protocol(pool=protocol.pool, records=tuple(found))
            rows = [_row(part, group) for group in by_method(found)]
            blocks.append(_block(part, rows, stale or {}))
            data += rows
    return Table(title="Cost at one million items, extrapolated", blocks=tuple(blocks), data=data)


def _row(part: Protocol, records: Sequence[RunRecord]) -> dict[str, Any]:
    ran = [r for r in records if not r.word]

    def mean(value: Callable[[RunRecord], float | None]) -> float | None:
        values = [v for r in ran if (v := value(r)) is not None]
        return statistics.fmean(values) if values else None

    binary = bool(ran) and ran[0].reference != "real-valued"
    return {
        **part.columns(records[0]),
        "items_measured": ran[0].rounds[-1].items if ran else None,
        "fit_seconds": mean(lambda r: sum(r.fit_seconds) / r.rounds[-1].items * ITEMS),
        "encode_seconds": mean(_encode),
        "reencode_seconds": mean(_reencode),
        "search_seconds_per_query": mean(_search),
        "index_bytes": 2 * ITEMS * records[0].spec.bits / 8 if binary else None,
        "state_bytes": mean(lambda r: float(r.rounds[-1].state_bytes)),
        "parallel": any(int(r.environment.get("jobs", 1)) > 1 for r in ran),
    }


def _encode(record: RunRecord) -> float | None:
    """Items are encoded once when they arrive; learned codes come with the fit and are not encoded."""
    if record.spec.database == "learned":
        return None
    spent = sum(r.seconds.get("encode_database", 0.0) for r in record.rounds)
    return spent / record.rounds[-1].items * ITEMS


def _reencode(record: RunRecord) -> float | None:
    """From the rounds that re-encoded items which were in the index before."""
    pairs = [
        (a.items, b.seconds["rehash"])
        for a, b in zip(record.rounds, record.rounds[1:], strict=False)
        if "rehash" in b.seconds and b.bits_rewritten is not None
    ]
    items = sum(n for n, _ in pairs)
    return sum(s for _, s in pairs) / items * ITEMS if items else None


def _search(record: RunRecord) -> float | None:
    last = record.rounds[-1]
    if "search" not in last.seconds or not last.queries:
        return None
    return last.seconds["search"] / (last.queries * len(record.spec.directions)) / last.items * ITEMS


def _block(part: Protocol, rows: Sequence[Mapping[str, Any]], stale: Stale) -> Block:
    marks = part.marks()
    old = {r.spec.label for r in part.records if stale and r.spec.key in stale}

    def cells(row: Mapping[str, Any]) -> tuple[Entry, ...]:
        extra = marks[row["method"]] + (PARALLEL if row["parallel"] else "")
        name = Entry(row["method"], extra=extra + (STALE if row["method"] in old else ""))
        times = (row["fit_seconds"], row["encode_seconds"], row["reencode_seconds"])
        return (
            name,
            Entry(str(row["bits"])),
            *(Entry(_duration(t)) for t in times),
            Entry(_duration(row["search_seconds_per_query"])),
            Entry(_size(row["index_bytes"])),
            Entry(_size(row["state_bytes"])),
        )

    names = ("fit", "encode", "re-encode", "search", "index", "state")
    return Block(
        caption=(*_CAPTION, *part.caption()),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            *(Column(name, group="extrapolated") for name in names),
        ),
        rows=tuple(map(cells, rows)),
        notes=(
            "state: bytes of what the method keeps, as measured: that of an online method does not grow",
            *([PARALLEL_NOTE] if any(row["parallel"] for row in rows) else ()),
            *part.notes(stale),
        ),
        stub=2,
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def _size(count: float | None) -> str:
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
