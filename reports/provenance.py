"""Every cell of a table with what it takes to cite or repeat it: key, fingerprints, machine, and trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records import RunRecord
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.reports._protocol import PARALLEL, STALE, Protocol, Stale, protocols

_COLUMNS = (
    *(Column(name, align="left") for name in ("method", "dataset")),
    *(Column(name) for name in ("bits", "seed")),
    *(Column(name, align="left") for name in ("status", "key", "code", "data", "machine")),
)


def render(records: Sequence[RunRecord], *, stale: Mapping[str, str] | None = None) -> Table:
    """One row per cell, one block per protocol; ``data`` has all that the record tells of its origin."""
    blocks, data = [], []
    for number, protocol in enumerate(protocols(records)):
        marks, references = protocol.marks(), protocol.references()
        blocks.append(
            Block(
                caption=("key names the record; code and data are fingerprints", *protocol.caption()),
                columns=_COLUMNS,
                rows=tuple(_row(r, marks, stale or {}) for r in protocol.records),
                notes=protocol.notes(stale or {}),
                stub=4,
            )
        )
        for record in protocol.records:
            label = record.spec.label
            kept = {"block": number, "mark": marks[label], "reference": references.get(label, "")}
            data.append({**kept, **_data(protocol, record, stale or {})})
    return Table(title="Provenance", blocks=tuple(blocks), data=data)


def _row(record: RunRecord, marks: Mapping[str, str], stale: Stale) -> Row:
    spec = record.spec
    old = STALE if spec.key in stale else ""
    beside = PARALLEL if int(record.environment.get("jobs", 1)) > 1 else ""
    return (
        Entry(spec.label, extra=marks[spec.label]),
        Entry(spec.dataset),
        Entry(str(spec.bits)),
        Entry(str(spec.seed)),
        Entry(record.word or "ok", extra=old + beside),
        Entry(spec.key),
        Entry(record.code[:8] or "–"),
        Entry(record.data[:8] or "–"),
        Entry(str(record.environment.get("cpu") or record.environment.get("machine") or "–")),
    )


def _data(protocol: Protocol, record: RunRecord, stale: Stale) -> dict[str, Any]:
    return {
        **protocol.columns(record),
        "seed": record.spec.seed,
        "key": record.spec.key,
        "status": record.word or "ok",
        "reason": record.trouble,
        "stale": stale.get(record.spec.key, ""),
        "code": record.code,
        "notes": "; ".join(record.notes),
        **{f"environment:{name}": value for name, value in record.environment.items()},
    }
