"""Runs stored cells again and compares histograms and codes bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError, StoreError
from bench.records import RunRecord, RunSpec
from bench.running.runner import environment, run_cells
from bench.storing.store import Store, stale_reason
from bench.study.planned import PlannedCell
from bench.study.planner import Planner

VERSIONS = ("python", "machine", "cpu", "numpy", "scipy", "numba", "torch", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome for one cell: ``differences`` is empty if every histogram and code is the same.

    ``remarks`` say what has changed since the cell was stored: code, data, versions, machine.
    """

    spec: RunSpec
    differences: tuple[str, ...]
    remarks: tuple[str, ...]


def verify(store: Store, *, cells: int, seed: int, data_root: Path) -> Iterator[Verdict]:
    """Rerun ``cells`` random cells that have a result, drawn with ``seed``, one by one.

    Raises ParameterError for less than one cell, StoreError if no cell has a result.
    """
    if cells < 1:
        raise ParameterError(f"cells is {cells}; expected 1 or more to rerun.")
    records = [r for r in store.records() if r.status == "ok" and r.arrays]
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
        differences = list(_differences(store.arrays(record), arrays))
    return Verdict(spec=cell.spec, differences=tuple(differences), remarks=tuple(filter(None, remarks)))


def _differences(
    stored: Mapping[str, npt.NDArray[Any]], new: Mapping[str, npt.NDArray[Any]]
) -> Iterator[str]:
    for name in sorted({*stored, *new}):
        if name not in stored or name not in new:
            yield f"{name} is {'new' if name in new else 'no longer there'}"
        elif stored[name].shape != new[name].shape:
            yield f"{name} had shape {stored[name].shape} and has {new[name].shape}"
        elif count := int(np.count_nonzero(stored[name] != new[name])):
            yield f"{name} differs in {count} of {new[name].size} entries"
