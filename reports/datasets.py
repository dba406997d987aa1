"""The datasets of the runs: sizes, features, labels, base rate, and queries without a relevant item."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.reporting import (
    NO_RECORDS,
    Block,
    Column,
    Entry,
    ParameterError,
    Results,
    Row,
    RunRecord,
    Table,
    dataset_of,
    grouped,
)

_SHOWN = {  # key of a row → its column, and the format of its value
    "dataset": (Column("dataset", align="left"), ""),
    "train": (Column("train"), ","),
    "query": (Column("query"), ","),
    "features": (Column("features", align="left"), ""),
    "classes": (Column("classes"), ""),
    "labels_per_item": (Column("labels per item"), ".2f"),
    "base_rate": (Column("base rate"), ".3f"),
    "empty_queries": (Column("empty queries"), ""),
    "schedules": (Column("schedules", align="left"), ""),
    "data": (Column("data", align="left"), ".8"),
}


def render(results: Results) -> Table:
    """One row per dataset and fingerprint.

    Where the dataset's files are missing or have changed, the row has only what the records contain.
    """
    if not results.records:
        raise ParameterError(NO_RECORDS)
    groups = grouped((r for r in results if r.data), lambda r: (dataset_of(r), r.data))
    data = [_data(name, records, results) for (name, _), records in groups.items()]
    lacking = ", ".join(row["dataset"] for row in data if row["classes"] is None)
    block = Block(
        caption=(
            "train is streamed and becomes the database; queries are never trained on",
            "base rate: mean share of training items that are relevant to a query, the mAP of random codes",
        ),
        columns=tuple(column for column, _ in _SHOWN.values()),
        rows=tuple(map(_row, data)),
        notes=(f"files not available, so only what the records contain: {lacking}",) if lacking else (),
    )
    return Table.of("Datasets", [(block, data)])


def _data(name: str, records: Sequence[RunRecord], results: Results) -> dict[str, Any]:
    last = [r.over("all").rounds[-1] for r in records if not r.word and not r.spec.val]
    chance = [v for r in last for key, v in r.metrics.items() if key.startswith("chance/")]
    known = results.statistics(records[0])
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


def _row(row: Mapping[str, Any]) -> Row:
    return tuple(
        Entry() if row[name] in (None, "") else Entry(format(row[name], form))
        for name, (_, form) in _SHOWN.items()
    )
