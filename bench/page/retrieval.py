"""A sample of queries and their results, with pictures and texts.

Pictures are shrunk, and queries are added one by one as long as the pictures fit the budget. The
trap: tied items have no order, so ties stay together, with their number, and of a large group the
earliest arrivals are shown.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.dataset import Dataset, Raw
from bench.contract.items import Labels, Modality, Split
from bench.errors import BenchError, DataError
from bench.records import RunRecord
from bench.reporting.evidence import Evidence
from bench.reporting.protocol import dataset_of, grouped
from bench.results import Results
from bench.running.evaluation import SIDES
from bench.scoring.hamming import distances_numpy
from bench.study.planned import PlannedData
from bench.study.planner import Planner

QUERIES = 16  # at most, per dataset
SHOWN = 12  # results of a query
CELLS = 64  # at most, per dataset
TEXT = 200  # characters of a text
SIDE = 96  # pixels of a picture's longer side


def collect(results: Results, data_root: Path, budget: int) -> dict[str, Any]:
    """Dataset → its sample, or ``{"why": ...}`` where there is none; pictures in ``budget`` bytes."""
    by_dataset = grouped(results, dataset_of)
    samples, planner = {}, Planner()
    for name, records in by_dataset.items():
        spec = records[0].spec
        data = planner.data(spec.dataset, spec.dataset_params, data_root)
        try:
            samples[name] = _sample(records, results.evidence, data, budget // len(by_dataset))
        except BenchError as error:
            samples[name] = {"why": str(error)}
    return samples


def _sample(
    records: Sequence[RunRecord], evidence: Evidence, data: PlannedData, budget: int
) -> dict[str, Any]:
    if not evidence:
        raise DataError("No results folder was given to read the codes from.")
    chosen = _chosen(records)
    if not chosen:
        raise DataError("No cell of this dataset has binary codes of a finished run.")
    current = [r for r in chosen if r.data == data.cached.fingerprint]
    if not current:
        raise DataError("The dataset has changed since these cells were run, so their items are unknown.")
    raw = data.source.raw(data.root)
    items = _Items(data.dataset, raw, budget)
    searches = [_Search(record, evidence(record), items.all_labels) for record in current]
    runs: list[dict[str, Any]] = [{"key": s.record.spec.key, "found": {}} for s in searches]
    kept = []
    for query in _queries(len(items.dataset.query)):
        found = [s.find(query) for s in searches]
        if not items.add(query, {row for f in found for row in _rows(f)}):
            break
        kept.append(query)
        for run, f in zip(runs, found, strict=True):
            run["found"][query] = f
    return {"queries": kept, "runs": runs, "pictures": raw is not None, **items.to_json()}


def _chosen(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The first seed of each cell with codes, every method once before any has a second code length."""
    first: dict[str, RunRecord] = {}
    for r in records:
        s = r.spec
        if r.rounds and r.has_codes and not (s.val or s.unseen_classes):
            first.setdefault(replace(s, seed=0).key, r)
    turn: dict[str, int] = {}
    ranked: list[tuple[int, int, RunRecord]] = []
    for r in first.values():
        name = replace(r.spec, seed=0, bits=0).key
        turn[name] = turn.get(name, 0) + 1
        ranked.append((turn[name], len(ranked), r))
    return [r for *_, r in sorted(ranked, key=lambda entry: entry[:2])][:CELLS]


def _queries(size: int) -> list[int]:
    """Evenly spread over the test queries."""
    return sorted({int(i) for i in np.linspace(0, size - 1, min(size, QUERIES))})


class _Search:
    """The codes of one record's last round."""

    def __init__(
        self, record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]], labels: tuple[Labels, Labels]
    ) -> None:
        self.record = record
        self.rows = arrays["rows/database"]
        self.query = {m: arrays[f"codes/query/{m}"] for m in SIDES.values()}
        self.database = {m: arrays[f"codes/database/{m}"] for m in SIDES.values()}
        self.asked, self.stored = labels[0], labels[1][self.rows]

    def find(self, query: int) -> dict[str, list[Any]]:
        """Direction → groups of tied items, nearest first: [distance, items, relevant, rows shown]."""
        return {d: self._groups(query, SIDES[d[0]], SIDES[d[2]]) for d in self.record.spec.directions}

    def _groups(self, query: int, asking: Modality, answering: Modality) -> list[Any]:
        code = np.ascontiguousarray(self.query[asking][:, [query]])
        distances = distances_numpy(code, self.database[answering])[0]
        relevant = self.stored[:, self.asked[query] > 0].any(axis=1)
        groups, left = [], SHOWN
        for distance in np.unique(distances):
            tied = np.flatnonzero(distances == distance)
            shown = [int(r) for r in self.rows[tied[:left]]]
            groups.append([int(distance), len(tied), int(relevant[tied].sum()), shown])
            left -= min(left, len(tied))
            if not left:
                break
        return groups


def _rows(found: Mapping[str, list[Any]]) -> Iterator[int]:
    return (row for groups in found.values() for *_, rows in groups for row in rows)


class _Items:
    """Items as the page shows them: labels, and pictures and texts where the dataset has them."""

    def __init__(self, dataset: Dataset, raw: Raw | None, budget: int) -> None:
        assert dataset.query.labels is not None and dataset.train.labels is not None, "cells have labels"
        self.dataset, self.raw, self.budget = dataset, raw, budget
        self.all_labels = dataset.query.labels, dataset.train.labels
        self.spent = 0
        self.shown: dict[str, dict[str, Any]] = {}  # "q3" is query 3, "d17" row 17 of the training split
        self.position = {} if raw is None else {id_: i for i, id_ in enumerate(raw.ids.tolist())}

    def add(self, query: int, rows: set[int]) -> bool:
        """Describe a query and its results; False, and nothing added, where that goes over the budget."""
        wanted = [("q", self.dataset.query, query), *(("d", self.dataset.train, r) for r in sorted(rows))]
        new = {
            f"{side}{row}": self._describe(split, row)
            for side, split, row in wanted
            if f"{side}{row}" not in self.shown
        }
        cost = sum(len(item.get("image", "")) for item in new.values())
        if self.spent + cost > self.budget:
            return False
        self.spent += cost
        self.shown |= new
        return True

    def _describe(self, split: Split, row: int) -> dict[str, Any]:
        assert split.labels is not None, "cells have labels"
        item: dict[str, Any] = {
            "id": str(split.ids[row]),
            "labels": [int(c) for c in np.flatnonzero(split.labels[row])],
        }
        if self.raw is not None:
            where = self.position.get(split.ids[row].item())
            if where is None:
                item["broken"] = "no raw item has this id"
            else:
                item["text"] = shortened(self.raw.texts[where])
                item |= _picture(self.raw, where)
        return item

    def to_json(self) -> dict[str, Any]:
        return {"items": self.shown, "classes": list(self.dataset.classes)}


def shortened(text: str) -> str:
    """At most TEXT characters of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT else line[: TEXT - 1].rstrip() + "…"


def _picture(raw: Raw, row: int) -> dict[str, str]:
    """A WebP thumbnail as a data URI, or the problem with the file."""
    try:
        picture = raw.image(row)
    except BenchError as error:
        return {"broken": str(error)}
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=55, method=4)
    return {"image": "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()}
