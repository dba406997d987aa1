"""Adds a metric to stored cells, computed from their histograms, or from codes if order matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import metrics
from bench.errors import DataError
from bench.records import RoundRecord, RunRecord
from bench.running.runner import SIDES
from bench.scoring import hamming
from bench.storing.store import Store
from bench.study.planned import PlannedData
from bench.study.planner import Planner


def rescore(store: Store, name: str, *, data_root: Path) -> int:
    """Add metric ``name`` to every ``ok`` record that lacks it; return the number of records changed.

    A metric that depends on the order of the database needs codes, which are kept for the
    last evaluated round only, and labels, which are read from the dataset again. A method without
    codes is left out.
    """
    metric = metrics.parse_metric(name)
    planner, changed = Planner(), 0
    for record in store.records():
        if not _lacks(record, metric, name):
            continue
        if metric.ordered:
            if record.reference == "real-valued":  # keeps no codes, and its ranking has no ties
                continue
            data = planner.data(record.spec.dataset, record.spec.dataset_params, data_root)
            new = _from_codes(record, store.arrays(record), name, data)
        else:
            new = _from_histograms(record, store.arrays(record), name)
        store.write(new, {})
        changed += 1
    return changed


def scored(store: Store, records: Sequence[RunRecord], name: str) -> list[RunRecord]:
    """The records, with metric ``name`` from stored histograms where they lack it; stores nothing.

    A metric that depends on the order of the database is left to :func:`rescore`, which reads labels.
    """
    if all(_has(record, name) for record in records):  # it may be that of a plugin that is not given now
        return list(records)
    metric = metrics.parse_metric(name)
    return [
        _from_histograms(record, store.arrays(record), name)
        if not metric.ordered and _lacks(record, metric, name)
        else record
        for record in records
    ]


def _has(record: RunRecord, name: str) -> bool:
    """Whether a record with numbers has this one."""
    if record.status != "ok":
        return True
    return all(f"{name}/{d}" in record.rounds[-1].metrics for d in record.spec.directions)


def _lacks(record: RunRecord, metric: metrics.Metric, name: str) -> bool:
    """Whether a record lacks a number that its method can have."""
    if record.reference == "real-valued" and (metric.ordered or metric.takes == "radius"):
        return False  # it keeps no codes, and its distances are no bits
    return not _has(record, name)


def _from_histograms(record: RunRecord, arrays: Any, name: str) -> RunRecord:
    rounds = []
    for entry in record.rounds:
        added = {}
        for direction in record.spec.directions:
            stored = (arrays[f"{direction}/{entry.round}/{part}"] for part in ("counts", "gains", "grades"))
            added[f"{name}/{direction}"] = metrics.mean(name, hamming.Histograms(*stored))
        rounds.append(replace(entry, metrics={**entry.metrics, **added}))
    return replace(record, rounds=tuple(rounds))


def _from_codes(record: RunRecord, arrays: Any, name: str, data: PlannedData) -> RunRecord:
    spec = record.spec
    if data.cached.fingerprint != record.data:
        raise DataError(
            f"{spec}: {data} has changed since this cell was run, so its labels cannot give {name}. "
            "Give the same --data-root, or run the cell again."
        )
    dataset = data.dataset
    assert dataset.train.labels is not None and dataset.query.labels is not None, "cells have labels"
    val = arrays["rows/query"]
    query_labels = dataset.train.labels[val] if len(val) else dataset.query.labels
    database_labels = dataset.train.labels[arrays["rows/database"]]
    last: RoundRecord = record.rounds[-1]
    added = {}
    for direction in spec.directions:
        query = hamming.unpack_codes(arrays[f"codes/query/{SIDES[direction[0]]}"], spec.bits)
        database = hamming.unpack_codes(arrays[f"codes/database/{SIDES[direction[2]]}"], spec.bits)
        scores = metrics.evaluate(query, database, query_labels, database_labels, metrics=(name,))
        added[f"{name}/{direction}"] = scores[name]
    return replace(record, rounds=(*record.rounds[:-1], replace(last, metrics={**last.metrics, **added})))
