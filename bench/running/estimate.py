"""How long a study will take and how much memory a job needs, before it is run.

Cells like those already stored cost what those cost; for the others the first chunk is run,
and the rest of the stream is taken to cost the same per item.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bench.contract.items import MODALITIES
from bench.protocol.shown import chunk, encode, shown, skip_reason
from bench.records import RunRecord, RunSpec
from bench.running import threads
from bench.storing.store import Store
from bench.study.planned import PlannedCell
from bench.study.study import Study

_Kind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock seconds for everything, megabytes for one job, and what the figures rest on."""

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
    basis += f", {failed} that cannot be told: they raise in the first chunk" if failed else ""
    return Cost(seconds / study.jobs, (base + max(most, data)) / 1e6, basis)


def _kind(spec: RunSpec) -> _Kind:
    """Cells of one kind cost about the same: bits and seeds matter little beside the method and data."""
    return spec.label, f"{spec.dataset}{sorted(spec.dataset_params.items())}{spec.schedule}{spec.database}"


def _past(records: list[RunRecord]) -> dict[_Kind, list[float]]:
    found: defaultdict[_Kind, list[float]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            wall = (s for r in record.rounds for stage, s in r.seconds.items() if not stage.endswith("_cpu"))
            found[_kind(record.spec)].append(sum(wall))
    return dict(found)


def _try_probe(cell: PlannedCell) -> float | None:
    try:
        return _probe(cell)
    except Exception:  # noqa: BLE001  # a plugin may raise anything; the run will tell what and where
        return None


def _probe(cell: PlannedCell) -> float:
    """Seconds for the whole stream, from fitting and encoding the first chunk of it."""
    spec, train, cls = cell.spec, cell.data.dataset.train, cell.method
    if skip_reason(cls, train, spec):
        return 0.0
    plan = cell.plan
    method = cls(bits=spec.bits, seed=spec.seed, **spec.params)
    first = chunk(train, plan.rounds[0], cls.capabilities, 0, plan.withheld)
    with threads.limit(1):
        started = time.perf_counter()
        if plan.pool is not None and cls.capabilities.pool:
            method.fit_pool(shown(train, plan.pool, cls.capabilities, plan.withheld))
        offline = time.perf_counter() - started
        method.fit_chunk(first)
        for modality in MODALITIES:
            encode(method, train, modality, plan.rounds[0])
        per_item = (time.perf_counter() - started - offline) / len(first)
    return offline + per_item * sum(len(rows) for rows in plan.rounds)


def _bytes_in_memory(cell: PlannedCell) -> float:
    """What a job holds of the data: one chunk, or everything for an offline method."""
    train = cell.data.dataset.train
    row = sum(b.features.itemsize * b.features.shape[1] for b in (train.image, train.text))
    schedule = cell.spec.schedule
    whole = cell.method.capabilities.offline or schedule.order == "class_incremental"
    items = len(train) if whole else schedule.size
    return float(row * items * 3)  # the chunk, a float64 copy of it
