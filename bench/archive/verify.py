"""Checks that stored cells follow from their evidence, and reruns some of them, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.archive import beside
from bench.archive.rescore import scores_from_codes
from bench.data import cache
from bench.errors import ParameterError, StoreError
from bench.records import RunRecord, RunSpec
from bench.reporting import columns
from bench.running.machine import environment
from bench.running.runner import run_cells
from bench.scoring.stored import Arrays
from bench.storing.recount import needs, recountable, same
from bench.storing.store import Store, stale_reason
from bench.study.planned import PlannedCell, PlannedData
from bench.study.planner import Planner

VERSIONS = ("python", "machine", "cpu", "numpy", "scipy", "numba", "torch", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The state of a results folder: how many records passed, and what is wrong.

    ``faults`` maps the file of a record to the reason why it fails, ``beside`` that of a kept model or a
    measured index; ``disagreements`` are chance levels that
    should be equal; ``unchecked`` maps a metric that counts alone do not give to its number of cells;
    ``damaged`` maps a cached dataset of the records to its damage.
    """

    passed: int
    faults: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()
    unchecked: Mapping[str, int] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        return not (self.faults or self.beside or self.disagreements or self.damaged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of running one cell again: ``differences`` is empty where all is the same, bit by bit.

    ``remarks`` list the changes since the cell was stored: in code, data, versions and machine.
    """

    spec: RunSpec
    differences: tuple[str, ...]
    remarks: tuple[str, ...]


def check(store: Store) -> Checked:
    """Compute the scores of all stored cells again from their counts, and the digests of their cached data.

    Raises StoreError where the folder holds no record.
    """
    records = store.records(anew=True)
    if not records and not store.faults:
        raise StoreError(f"results folder {store.folder} holds no record. Run `bench run` first.")
    unchecked: dict[str, int] = {}
    for record in records:
        for name in _not_recounted(record):
            unchecked[name] = unchecked.get(name, 0) + 1
    return Checked(
        passed=len(records),
        faults=dict(store.faults),
        beside={path.name: problem for r in records for path, problem in beside.faults(store, r)},
        disagreements=tuple(columns.chance_faults(records)),
        unchecked=unchecked,
        damaged=cache.check({record.data for record in records}),
    )


def _not_recounted(record: RunRecord) -> list[str]:
    names = {key.rpartition("/")[0] for entry in record.rounds for key in entry.metrics}
    return sorted(name for name in names if not recountable(name))


def rerun(store: Store, *, cells: int, seed: int, data_root: Path) -> Iterator[Verdict]:
    """Run ``cells`` random cells that have a result again, drawn with ``seed``, one at a time.

    Raises ParameterError for less than one cell, StoreError if no cell has a result.
    """
    if cells < 1:
        raise ParameterError(f"cells is {cells}; expected 1 or more to rerun.")
    if seed < 0:
        raise ParameterError(f"the seed of the draw is {seed}; expected 0 or more.")
    records = [r for r in store.records() if r.status == "ok"]
    if not records:
        raise StoreError(f"results folder {store.folder} has no cell with a result. Run `bench run` first.")
    draw = np.random.default_rng(seed).permutation(len(records))[:cells]
    planner = Planner()
    for record in (records[number] for number in draw):
        yield _again(store, record, planner.cell(record.spec, data_root))


def _again(store: Store, record: RunRecord, cell: PlannedCell) -> Verdict:
    threads = int(record.environment.get("threads", 1))
    [(new, arrays)] = run_cells([cell], thread_count=threads)
    remarks = [stale_reason(record, cell.data.cached.fingerprint)]
    now = environment(threads, 1)
    remarks += [
        f"{name} was {record.environment[name]} and is {now[name]}"
        for name in VERSIONS
        if name in record.environment and record.environment[name] != now[name]
    ]
    if new.status != "ok":
        differences = [f"it has a result in the folder and is {new.status} now: {new.reason}"]
    else:
        before = store.arrays(record)
        differences = [*_differences(before, arrays), *_wrong_orders(record, before, cell.data)]
        if (kept := store.model(record.spec)).is_file() and cell.data.cached.fingerprint == record.data:
            differences += beside.model_differences(kept, record, before, cell.data)
        if record.code == new.code:
            differences += _relabelled(record, new)
    return Verdict(spec=cell.spec, differences=tuple(differences), remarks=tuple(filter(None, remarks)))


def _differences(stored: Arrays, new: Arrays) -> Iterator[str]:
    for name in sorted({*stored, *new}):
        if name not in stored or name not in new:
            yield f"{name} is {'new' if name in new else 'gone'}"
        elif stored[name].shape != new[name].shape:
            yield f"{name} had shape {stored[name].shape} and has {new[name].shape}"
        elif count := int(np.count_nonzero(stored[name] != new[name])):
            yield f"{name} differs in {count} of {new[name].size} entries"


def _wrong_orders(record: RunRecord, arrays: Arrays, data: PlannedData) -> Iterator[str]:
    """Scores that depend on the order of tied items and do not follow from the codes."""
    if data.cached.fingerprint != record.data:
        return
    for name in _not_recounted(record):
        if needs(name) == "order":
            for key, value in scores_from_codes(record, arrays, name, data).items():
                if not same(record.rounds[-1].metrics[key], value):
                    yield f"{key} is {record.rounds[-1].metrics[key]:.6g}, and its codes give {value:.6g}"


def _relabelled(record: RunRecord, new: RunRecord) -> Iterator[str]:
    """Statements on the method that the same code does not make."""
    for name in ("fidelity", "reference", "notes"):
        if getattr(record, name) != getattr(new, name):
            yield f"{name} was {getattr(record, name)!r} and is {getattr(new, name)!r}"
