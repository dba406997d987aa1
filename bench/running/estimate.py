"""Estimates the time of a study and the memory of a job before anything runs.

A cell like stored ones costs what they cost. For any other the first chunk is run, and the rest of
the stream is assumed to cost the same per item.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bench import threads
from bench.contract.items import MODALITIES
from bench.protocol.shown import chunk, encode, shown, skip_reason
from bench.records import RunRecord, RunSpec
from bench.storing.store import Store
from bench.study.planned import PlannedCell
from bench.study.study import Study

_Kind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock seconds of all cells, megabytes of one job, and the basis of both."""

    seconds: float
    megabytes: float
    basis: str


def of(cells: Sequence[PlannedCell], study: Study) -> Cost:
    """The cost of running ``cells`` with the study's number of jobs."""
    past = _past(Store(study.results_folder).records())
    base = psutil.Process().memory_info().rss
    known: dict[_Kind, float | None] = {}
    most = 0.0
    for cell in cells:
        kind = _kind(cell.spec)
        if kind not in known:
            known[kind] = float(np.median(past[kind])) if kind in past else _try_probe(cell)
            most = max(most, psutil.Process().memory_info().rss - base)
    seconds = sum(known[_kind(cell.spec)] or 0.0 for cell in cells)
    data = max(_bytes_in_memory(cell) for cell in cells)
    before = sum(kind in past for kind in known)
    failed = sum(value is None for value in known.values())
    basis = (
        f"{before} kinds of cell from earlier runs, {len(known) - before - failed} from a probe of a chunk"
    )
    basis += f", {failed} unknown: they raise an error in the first chunk" if failed else ""
    return Cost(seconds / study.jobs, (base + max(most, data)) / 1e6, basis)


def _kind(spec: RunSpec) -> _Kind:
    """Cells of one kind cost about the same: bits and seeds matter less than method and data."""
    return spec.label, f"{spec.dataset}{sorted(spec.dataset_params.items())}{spec.schedule}{spec.database}"


def _past(records: list[RunRecord]) -> dict[_Kind, list[float]]:
    seconds: defaultdict[_Kind, list[float]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            wall = (s for r in record.rounds for stage, s in r.seconds.items() if not stage.endswith("_cpu"))
            seconds[_kind(record.spec)].append(sum(wall))
    return dict(seconds)


def _try_probe(cell: PlannedCell) -> float | None:
    try:
        return _probe(cell)
    except Exception:  # noqa: BLE001  # a plugin may raise anything; the run will show it
        return None


def _probe(cell: PlannedCell) -> float:
    """Seconds for the whole stream, from fitting and encoding the first chunk of it."""
    spec, train, cls = cell.spec, cell.data.dataset.train, cell.method
    if skip_reason(cls, train, spec):
        return 0.0
    plan = cell.plan
    method = cls(bits=spec.bits, seed=spec.seed, **spec.params)
    first = chunk(train, plan.shown(plan.rounds[0]), cls.capabilities, 0, plan.withheld)
    with threads.limit(1):
        started = time.perf_counter()
        if plan.pool is not None and cls.capabilities.pool:
            method.fit_pool(shown(train, plan.pool, cls.capabilities, plan.withheld))
        offline = time.perf_counter() - started
        method.fit_chunk(first)
        for modality in MODALITIES:
            encode(method, train, modality, plan.rounds[0])
        per_item = (time.perf_counter() - started - offline) / len(plan.rounds[0])
    return offline + per_item * sum(len(rows) for rows in plan.rounds)


def _bytes_in_memory(cell: PlannedCell) -> float:
    """Bytes of the data that a job holds: one chunk, or all items for an offline method."""
    train = cell.data.dataset.train
    row = sum(b.features.itemsize * b.features.shape[1] for b in (train.image, train.text))
    schedule = cell.spec.schedule
    whole = cell.method.capabilities.offline or schedule.order == "class_incremental"
    items = len(train) if whole else schedule.size
    return float(row * items * 3)  # the chunk, a float64 copy of it
