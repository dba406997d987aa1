"""Provenance: every cell with its key, fingerprints, machine and trouble, as needed to cite or repeat it."""

from collections.abc import Iterator
from typing import Any

from bench.reporting import (
    PARALLEL,
    STALE,
    Block,
    Column,
    Entry,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    parallel,
    protocols,
)

_COLUMNS = (
    *(Column(name, align="left") for name in ("method", "dataset")),
    *(Column(name) for name in ("bits", "seed")),
    *(Column(name, align="left") for name in ("status", "key", "code", "data", "machine")),
)


def render(results: Results) -> Table:
    """One row per cell, one block per protocol; ``data`` has all that the record says about its origin."""
    return Table.of("Provenance", (_part(i, protocol) for i, protocol in enumerate(protocols(results))))


def _part(number: int, protocol: Protocol) -> tuple[Block, Iterator[dict[str, Any]]]:
    block = Block(
        caption=("key names the record; code and data are fingerprints", *protocol.caption()),
        columns=_COLUMNS,
        rows=tuple(_row(r, protocol) for r in protocol.records),
        notes=protocol.notes(),
        stub=4,
        protocol=protocol.slug,
    )
    return block, ({"block": number, **_data(r, protocol)} for r in protocol.records)


def _row(record: RunRecord, protocol: Protocol) -> Row:
    spec = record.spec
    old = STALE if spec.key in protocol.results.stale else ""
    beside = PARALLEL if parallel([record]) else ""
    return (
        Entry(spec.label, extra=protocol.marks[spec.label]),
        Entry(spec.dataset_label),
        Entry(str(spec.bits)),
        Entry(str(spec.seed)),
        Entry(record.word or "ok", extra=old + beside),
        Entry(spec.key),
        Entry(record.code[:8] or "–"),
        Entry(record.data[:8] or "–"),
        Entry(str(record.environment.get("cpu") or record.environment.get("machine") or "–")),
    )


def _data(record: RunRecord, protocol: Protocol) -> dict[str, Any]:
    label = record.spec.label
    return {
        "mark": protocol.marks[label],
        "reference": protocol.references.get(label, ""),
        **protocol.columns(record),
        "seed": record.spec.seed,
        "key": record.spec.key,
        "status": record.word or "ok",
        "reason": record.trouble,
        "stale": protocol.results.stale.get(record.spec.key, ""),
        "code": record.code,
        "notes": "; ".join(record.notes),
        **{f"environment:{name}": value for name, value in record.environment.items()},
    }
