"""Measures every index over the codes of one cell: recall, latency, throughput, memory and upkeep.

The trap: many items lie at the same distance, so a returned item is right if it is no farther than the k-th
nearest, whichever of the tied ones it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import models
from bench.archive.codes import Bytes
from bench.contract.items import Modality, Split
from bench.indexing import engines
from bench.indexing.engines import KINDS, Faiss, Scan
from bench.progress import Task
from bench.records import UNEVEN, Direction, IndexRecord, RunRecord, SearchRecord
from bench.results import Results
from bench.running.evaluation import SIDES
from bench.running.machine import environment
from bench.scoring import cosine, hamming
from bench.scoring.cosine import Vectors
from bench.scoring.hamming import Packed
from bench.study.planner import Planner
from bench.threads import cores

CUTS = (1, 10, 100)
VIEW = "clip"  # the view whose exact float search is compared with
_SECONDS = 0.2  # for which a batch is repeated
_WAITS = 1000  # queries asked alone, at least: ten of them are above the 99th percentile
_BLOCK = 1 << 24  # cosines in memory at once


@dataclass(frozen=True, slots=True)
class _Searched:
    """Queries and database of one direction, and what is right for them."""

    direction: Direction
    queries: Bytes  # (q, bits / 8)
    database: Bytes
    masks: tuple[Packed, Packed]  # labels of both
    limits: npt.NDArray[np.int64]  # (q, k) distances of the nearest items, in order


def measure(
    record: RunRecord,
    results: Results,
    planner: Planner,
    data_root: Path,
    *,
    kinds: Sequence[str],
    most: int,
    model: Path | None = None,
) -> IndexRecord:
    """Measure these kinds of index, a key of KINDS each, with at most ``most`` of the cell's queries.

    ``model`` is the file of the cell's kept model, whose real outputs are searched, too. Raises DataError
    where the dataset is not the one that the cell ran on, and BenchError where a kind is not installed.
    """
    machine = environment(1, 1) | engines.versions(kinds)
    spec, record = record.spec, record.over("all")
    data = planner.data(spec.dataset, spec.dataset_params, data_root)
    arrays = results.evidence(record)
    asked = data.queries(record, arrays)
    sample = np.unique(np.linspace(0, len(asked) - 1, min(most, len(asked))).round().astype(np.intp))
    asked, stored = asked.take(sample), data.dataset.train.take(arrays["rows/database"].astype(np.intp))
    chunk = _chunk(record, len(stored))
    searches: list[SearchRecord] = []
    kept = None if model is None else models.load(model)
    views: dict[str, dict[Direction, Mapping[str, float]]] = {"clip": {}, "output": {}}
    for direction in spec.directions:
        query = arrays[f"codes/query/{SIDES[direction[0]]}"][:, sample]
        database = arrays[f"codes/database/{SIDES[direction[2]]}"]
        searched = _searched(direction, query, database, asked, stored, spec.bits)
        with Task(f"{spec} {direction}", len(kinds), each="index") as task:
            for kind in kinds:
                searches += _measured(kind, searched, chunk)
                task.advance()
        counts = results.evidence.histograms(record, direction).counts[sample, :, 0]
        found = {"clip": _of_view(asked, stored, direction)}
        if kept is not None:
            found["output"] = _of_outputs(kept, asked, stored, direction, (query, database))
        for name, vectors in found.items():
            if vectors is not None:
                nearest = _nearest(*vectors)
                views[name][direction] = _expected_recall(query, database, counts, nearest)
    return IndexRecord(
        arrays=record.arrays,
        items=len(stored),
        queries=len(sample),
        chunk=chunk,
        clip_recall=views["clip"],
        output_recall=views["output"],
        searches=tuple(searches),
        environment=machine,
    )


def _chunk(record: RunRecord, items: int) -> int:
    """The items that arrive together in the stream of a cell."""
    schedule = record.spec.schedule
    unsized = schedule.order in UNEVEN or not schedule.size
    size = items // max(len(record.fit_seconds), 1) if unsized else schedule.size
    return max(1, min(size, items))


def _searched(
    direction: Direction, query: Packed, database: Packed, asked: Split, stored: Split, bits: int
) -> _Searched:
    assert asked.labels is not None and stored.labels is not None, "cells have labels"
    codes = [hamming.to_bytes(side, bits) for side in (query, database)]
    masks = hamming.pack_labels(asked.labels), hamming.pack_labels(stored.labels)
    exact = Scan(codes[1], len(codes[1]))
    limits, _ = exact.search(codes[0], min(CUTS[-1], len(codes[1])), cores())
    return _Searched(direction, codes[0], codes[1], masks, limits)


def _measured(kind: str, searched: _Searched, chunk: int) -> Iterator[SearchRecord]:
    """One index at every setting, until it finds all that an exact search finds."""
    engine = KINDS[kind](searched.database, chunk)
    for setting in engine.settings():
        k = searched.limits.shape[1]
        distances, rows = engine.search(searched.queries, k, 1)
        recall, precision = _quality(searched, np.asarray(distances), rows)
        alone, busy = (_latencies(engine, searched.queries, k, clients) for clients in (1, cores()))
        yield SearchRecord(
            direction=searched.direction,
            index=kind,
            setting=setting,
            recall=recall,
            precision=precision,
            p50=float(np.percentile(alone, 50)),
            p99=float(np.percentile(alone, 99)),
            busy_p50=float(np.percentile(busy, 50)),
            busy_p99=float(np.percentile(busy, 99)),
            rates={str(n): _rate(engine, searched.queries, k, n) for n in sorted({1, cores()})},
            bytes_per_item=engine.bytes_per_item,
            build_seconds=engine.build_seconds,
            add_seconds=engine.add_seconds,
        )
        if min(recall.values()) == 1:
            return


def _quality(
    searched: _Searched, distances: npt.NDArray[Any], rows: npt.NDArray[np.int64]
) -> tuple[dict[str, float], dict[str, float]]:
    """Recall of the nearest and precision against labels, by k; an item that is missing is wrong."""
    present = rows >= 0
    query, database = searched.masks
    relevant = np.zeros(rows.shape, bool)
    for mine, theirs in zip(query, database, strict=True):
        relevant |= (mine[:, None] & theirs[rows]) != 0
    cuts = _cuts(rows.shape[1])
    near = {k: present[:, :k] & (distances[:, :k] <= searched.limits[:, k - 1, None]) for k in cuts}
    return (
        {str(k): float(near[k].mean()) for k in cuts},
        {str(k): float((present & relevant)[:, :k].mean()) for k in cuts},
    )


def _cuts(most: int) -> list[int]:
    """The values of k up to the number of items."""
    return [k for k in CUTS if k <= most]


def _latencies(engine: Scan | Faiss, queries: Bytes, k: int, clients: int) -> list[float]:
    """Seconds of every query asked alone on one thread, while so many clients ask, each one at a time."""

    def ask(first: int) -> list[float]:
        waits = []
        for at in range(first, max(len(queries), _WAITS), clients):
            one = queries[at % len(queries)][None]
            start = time.perf_counter()
            engine.search(one, k, 1)
            waits.append(time.perf_counter() - start)
        return waits

    if clients == 1:
        return ask(0)
    with ThreadPoolExecutor(clients) as pool:
        return [wait for waits in pool.map(ask, range(clients)) for wait in waits]


def _rate(engine: Scan | Faiss, queries: Bytes, k: int, threads: int) -> float:
    """Queries per second of the quickest of several batches."""
    begin, best = time.perf_counter(), np.inf
    while best == np.inf or time.perf_counter() - begin < _SECONDS:
        start = time.perf_counter()
        engine.search(queries, k, threads)
        best = min(best, time.perf_counter() - start)
    return float(len(queries) / best)


def _of_view(asked: Split, stored: Split, direction: Direction) -> tuple[Vectors, Vectors] | None:
    """The view of queries and database; None where a side lacks it."""
    sides = asked.batch(SIDES[direction[0]]).views, stored.batch(SIDES[direction[2]]).views
    if any(VIEW not in views for views in sides):
        return None
    query, database = (cosine.pack_vectors(np.asarray(views[VIEW])) for views in sides)
    return (query, database) if len(query) == len(database) else None


def _of_outputs(
    model: models.Model, asked: Split, stored: Split, direction: Direction, codes: tuple[Packed, Packed]
) -> tuple[Vectors, Vectors] | None:
    """The model's real outputs of queries and database; None where their signs are not the stored codes.

    They are not, for instance, where training or an earlier state of the method gave the codes.
    """
    sides = []
    for split, side, packed in zip((asked, stored), (direction[0], direction[2]), codes, strict=True):
        modality: Modality = SIDES[side]
        values = model.outputs(split.batch(modality).seen_as(model.view).features, modality)
        if values is None or not np.array_equal(hamming.pack_codes(values >= 0), packed):
            return None
        sides.append(cosine.pack_vectors(values))
    return sides[0], sides[1]


def _nearest(query: Vectors, database: Vectors) -> npt.NDArray[np.intp]:
    """The items (q, k) nearest by cosine, in order."""
    items = database.shape[1]
    step = max(1, _BLOCK // items)
    k = min(CUTS[-1], items)
    blocks = []
    for start in range(0, query.shape[1], step):
        away = -(query[:, start : start + step].T @ database)
        near = np.argpartition(away, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(away, near, axis=1), axis=1, kind="stable")
        blocks.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(blocks)


def _expected_recall(
    query: Packed, database: Packed, counts: npt.NDArray[Any], nearest: npt.NDArray[np.intp]
) -> dict[str, float]:
    """The share of the k ``nearest`` items among the first k by Hamming distance, over all orders of ties.

    ``counts`` (q, bits + 1) is the number of items at each distance.
    """
    away = np.zeros(nearest.shape, np.int64)
    for mine, theirs in zip(query, database, strict=True):
        away += np.bitwise_count(mine[:, None] ^ theirs[nearest])
    within = np.cumsum(counts.astype(np.int64), axis=1)
    recall = {}
    for k in _cuts(nearest.shape[1]):
        limit = (within >= k).argmax(axis=1)[:, None]
        tied = np.take_along_axis(counts.astype(np.int64), limit, axis=1)
        before = np.take_along_axis(within, limit, axis=1) - tied
        chance = np.where(away[:, :k] < limit, 1.0, (away[:, :k] == limit) * (k - before) / tied)
        recall[str(k)] = float(chance.mean())
    return recall
