"""Adds a metric to stored cells, computed from their histograms, or from codes if order matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import metrics
from bench.errors import DataError, StoreError
from bench.protocol import classes
from bench.records import RoundRecord, RunRecord
from bench.running.evaluation import SIDES
from bench.scoring import hamming, stored
from bench.scoring.stored import Arrays
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
    planner, changed, records = Planner(), 0, store.records()
    if not records:
        raise StoreError(f"results folder {store.folder} has no cells. Run `bench run` first.")
    for record in records:
        if not _lacks(record, metric, name):
            continue
        if metric.ordered:
            if not record.compares_codes:  # keeps no codes, and its ranking has no ties
                continue
            data = planner.data(record.spec.dataset, record.spec.dataset_params, data_root)
            added = scores_from_codes(record, store.arrays(record), name, data)
            last = record.rounds[-1]
            entries = [*record.rounds[:-1], replace(last, metrics={**last.metrics, **added})]
        else:
            entries = [_with_score(record, entry, store.arrays(record), name) for entry in record.rounds]
        new = replace(record, rounds=tuple(entries))
        store.write(new, {})
        changed += 1
    return changed


def scored(store: Store, records: Sequence[RunRecord], name: str) -> list[RunRecord]:
    """The records, with metric ``name`` from stored histograms where they lack it; stores nothing.

    A metric that depends on the order of the database is left to :func:`rescore`, which reads labels.
    """
    if records and all(
        _has(record, name) for record in records
    ):  # it may be that of a plugin that is not given now
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
    if not record.compares_codes and (metric.ordered or metric.takes == "radius"):
        return False  # it keeps no codes, and its distances are no bits
    return not _has(record, name)


def _from_histograms(record: RunRecord, arrays: Arrays, name: str) -> RunRecord:
    return replace(record, rounds=tuple(_with_score(record, entry, arrays, name) for entry in record.rounds))


def _with_score(record: RunRecord, entry: RoundRecord, arrays: Arrays, name: str) -> RoundRecord:
    """A round with one more score, over all items and over each part of them."""

    def more(part: str) -> dict[str, float]:
        return {
            f"{name}/{direction}": metrics.mean(name, stored.histograms(arrays, direction, entry.round, part))
            for direction in record.spec.directions
        }

    parts = {p: replace(one, metrics={**one.metrics, **more(p)}) for p, one in entry.parts.items()}
    return replace(entry, metrics={**entry.metrics, **more("all")}, parts=parts)


def scores_from_codes(record: RunRecord, arrays: Arrays, name: str, data: PlannedData) -> dict[str, float]:
    """``name/direction`` → score after the last round, for a metric that depends on the database's order.

    Raises DataError where the data are not those of the record.
    """
    spec = record.spec
    if data.cached.fingerprint != record.data:
        raise DataError(
            f"{spec}: {data} has changed since this cell was run, so its labels cannot give {name}. "
            "Give the same --data-root, or run the cell again."
        )
    dataset = data.dataset
    assert dataset.train.labels is not None and dataset.query.labels is not None, "cells have labels"
    val = arrays["rows/query"]
    _, query_labels = classes.asked(spec, dataset.train.labels[val] if len(val) else dataset.query.labels)
    labels = query_labels, dataset.train.labels[arrays["rows/database"]]
    masks = [hamming.pack_labels(one) for one in labels]
    found = {}
    for direction in spec.directions:
        sides = zip(("query", "database"), (direction[0], direction[2]), strict=True)
        packed = (arrays[f"codes/{kind}/{SIDES[side]}"] for kind, side in sides)
        scores, _ = metrics.evaluate_packed(*packed, *masks, bits=spec.bits, metrics=(name,))
        found[f"{name}/{direction}"] = scores[name]
    return found
