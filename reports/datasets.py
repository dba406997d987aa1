"""The datasets of the runs: sizes, features, labels, base rate, and what a query can find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.data.describe import DatasetStatistics
from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._protocol import NOTHING, dataset_of

Describe = Callable[[RunRecord], DatasetStatistics | None]

_COLUMNS = (
    Column("dataset", align="left"),
    Column("train"),
    Column("query"),
    Column("features", align="left"),
    Column("classes"),
    Column("labels per item"),
    Column("base rate"),
    Column("empty queries"),
    Column("schedules", align="left"),
    Column("data", align="left"),
)


def render(records: Sequence[RunRecord], *, describe: Describe | None = None) -> Table:
    """One row per dataset and fingerprint.

    ``describe`` measures the arrays behind a record, or gives None where they are not at hand or are not
    what was run on: then the row has what the records tell.
    """
    if not records:
        raise ParameterError(NOTHING)
    found: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if record.data:
            found.setdefault((dataset_of(record), record.data), []).append(record)
    data = [_data(name, group, describe) for (name, _), group in found.items()]
    lacking = [row["dataset"] for row in data if row["classes"] is None]
    block = Block(
        caption=(
            "train is streamed and becomes the database, query is never trained on",
            "base rate: mean share of training items that are relevant to a query, the mAP of random codes",
        ),
        columns=_COLUMNS,
        rows=tuple(map(_row, data)),
        notes=(f"arrays not at hand, so told by the records alone: {', '.join(lacking)}",) if lacking else (),
    )
    return Table(title="Datasets", blocks=(block,), data=data)


def _data(name: str, records: Sequence[RunRecord], describe: Describe | None) -> dict[str, Any]:
    last = [r.rounds[-1] for r in records if not r.word and not r.spec.val]
    chance = [v for r in last for key, v in r.metrics.items() if key.startswith("chance/")]
    known = describe(records[0]) if describe else None
    return {
        "dataset": name,
        "data": records[0].data,
        "train": known.train if known else max((r.items for r in last), default=None),
        "query": known.query if known else max((r.queries for r in last), default=None),
        "features": ", ".join(f"{k} {v}" for k, v in known.dimensions.items()) if known else "",
        "classes": len(known.class_counts) if known else None,
        "labels_per_item": known.labels_per_item.mean if known else None,
        "base_rate": known.base_rate.mean if known else (max(chance) if chance else None),
        "empty_queries": known.empty_queries if known else None,
        "schedules": ", ".join(dict.fromkeys(str(r.spec.schedule) for r in records)),
    }


def _row(entry: Mapping[str, Any]) -> tuple[Entry, ...]:
    def text(name: str, form: str = "") -> Entry:
        return Entry() if entry[name] in (None, "") else Entry(format(entry[name], form))

    return (
        text("dataset"),
        text("train", ","),
        text("query", ","),
        text("features"),
        text("classes"),
        text("labels_per_item", ".2f"),
        text("base_rate", ".3f"),
        text("empty_queries"),
        text("schedules"),
        Entry(entry["data"][:8]),
    )
