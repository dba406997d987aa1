"""Estimates the time of a study and the memory of a job before anything runs.

A cell like stored ones costs what they cost. For others the first chunk is run, and the rest of the stream is
assumed to cost the same per item. Where probes take too long, another setting of the method counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.records import UNEVEN, RunRecord, RunSpec
from bench.running.probe import Probe, probes
from bench.storing.store import Store
from bench.study.planned import PlannedCell
from bench.study.study import Study

BUDGET = 3.0  # seconds of all probes, by default
_SOURCES = {
    "past": "{} kinds of cell from earlier runs",
    "probe": "{} from a probe of a chunk",
    "setting": "{} from another setting of the method",
    "failed": "{} unknown: they raise an error in the first chunk",
    "late": "{} unknown: no time for a probe, which --probe gives",
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """Cells of one kind cost about the same: bits and seeds matter less than method and data."""

    method: str
    setting: str
    where: str

    @classmethod
    def of(cls, spec: RunSpec) -> _Kind:
        setting, dataset = spec.selectors
        return cls(spec.method, setting, f"{dataset} {spec.schedule} {spec.database}")


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock seconds of all cells, megabytes of one job, and the basis of both.

    ``complete`` is false where the cost of some cells is unknown and counts as none.
    """

    seconds: float
    megabytes: float
    basis: str
    complete: bool


def costs(due: Sequence[tuple[Study, Sequence[PlannedCell]]], *, budget: float = BUDGET) -> list[Cost]:
    """The cost of the cells of each study; a kind of cell that several have is probed once.

    All probes together take ``budget`` seconds at most.
    """
    folders = {study.results_folder for study, cells in due if cells}
    past = {kind: seconds for folder in folders for kind, seconds in _past(folder).items()}
    new: dict[_Kind, PlannedCell] = {}
    for cell in (cell for _, cells in due for cell in cells):
        if (kind := _Kind.of(cell.spec)) not in past:
            new.setdefault(kind, cell)
    probed = probes({kind: new[kind] for kind in _quick_first(new)}, seconds=budget)
    return [_cost(cells, study.jobs, past, probed) for study, cells in due]


def _past(folder: Path) -> dict[_Kind, float]:
    """The median seconds of a stored cell, by kind."""
    seconds: defaultdict[_Kind, list[float]] = defaultdict(list)
    for record in Store(folder).records():
        if record.status == "ok":
            seconds[_Kind.of(record.spec)].append(_wall(record))
    return {kind: float(np.median(values)) for kind, values in seconds.items()}


def _wall(record: RunRecord) -> float:
    return sum(
        s for r in record.rounds for stage, s in r.seconds.items() if not stage.endswith(("_cpu", "_gpu"))
    )


def _quick_first(cells: Mapping[_Kind, PlannedCell]) -> list[_Kind]:
    """One kind of every method before the others of it, those without an offline stage first."""
    seen: Counter[str] = Counter()
    order: dict[_Kind, tuple[int, bool, bool]] = {}
    for kind, cell in cells.items():
        needs = cell.method.capabilities
        order[kind] = seen[kind.method], needs.pool, needs.offline
        seen[kind.method] += 1
    return sorted(order, key=order.__getitem__)


def _cost(
    cells: Sequence[PlannedCell], jobs: int, past: Mapping[_Kind, float], probed: Mapping[_Kind, Probe]
) -> Cost:
    counts = Counter(_Kind.of(cell.spec) for cell in cells)
    known = {kind: _known(kind, past, probed) for kind in counts}
    sources = Counter(source for source, _ in known.values())
    used = [source for source in _SOURCES if sources[source] or source in ("past", "probe")]
    memory = [probed[kind].memory for kind in counts if kind in probed]
    here = psutil.Process().memory_info().rss
    most = max([*memory, *(here + _bytes_in_memory(cell) for cell in cells)], default=0)
    return Cost(
        seconds=sum(known[kind][1] * count for kind, count in counts.items()) / jobs,
        megabytes=most / 1e6,
        basis=", ".join(_SOURCES[source].format(sources[source]) for source in used),
        complete=not (sources["failed"] or sources["late"]),
    )


def _known(kind: _Kind, past: Mapping[_Kind, float], probed: Mapping[_Kind, Probe]) -> tuple[str, float]:
    """A key of ``_SOURCES``, and the seconds of a cell of this kind, 0 where they are unknown."""
    if kind in past:
        return "past", past[kind]
    if kind in probed:
        seconds = probed[kind].seconds
        return ("failed", 0.0) if seconds is None else ("probe", seconds)
    for other, seconds in {**{k: probe.seconds for k, probe in probed.items()}, **past}.items():
        if (other.method, other.where) == (kind.method, kind.where) and seconds is not None:
            return "setting", seconds
    return "late", 0.0


def _bytes_in_memory(cell: PlannedCell) -> float:
    """Bytes of the data that a job holds: one chunk, or all items for an offline method."""
    train = cell.data.dataset.train
    row = sum(b.features.itemsize * b.features.shape[1] for b in (train.image, train.text))
    schedule = cell.spec.schedule
    unsized = schedule.order in UNEVEN or not schedule.size
    items = len(train) if unsized or cell.method.capabilities.offline else schedule.size
    return float(row * items * 3)  # the chunk, a float64 copy of it
