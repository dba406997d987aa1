"""Runs the unfinished cells of a study, on one worker or many.

The same sweep runs in this process, in worker processes, or on a cluster (bench/running/backends). A worker
claims the cells of a pass when it begins, leaves a trace of them, saves long ones between rounds, and stores
each when it has succeeded (bench.storing). What a worker that does not see the folder returns is stored here.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

import bench
from bench import models, threads
from bench.errors import ParameterError
from bench.plugins import registry
from bench.progress import Task, at_terminal, log_to, note, relay, say, verbose
from bench.records import SINCE, RunRecord
from bench.results import Results
from bench.running import backends, contracts
from bench.running.contracts import Verdict
from bench.running.evaluation import Arrays
from bench.running.hosts import APART, Isolation
from bench.running.runner import run_cells
from bench.running.watching import partly, watched
from bench.storing import claims, traces
from bench.storing.claims import Claims
from bench.storing.store import CellStatus, Stamp, Store, standing
from bench.study import passes
from bench.study.options import Options
from bench.study.planned import PlannedCell
from bench.study.planner import Planner
from bench.study.study import Study
from bench.units import counted

LOG = "run.log"  # in the results folder
_PAUSE = 0.2, 5.0  # seconds between two looks at cells that other runs compute: at first, and at most


@dataclass(frozen=True, slots=True)
class _How:
    """What every pass of a sweep has in common."""

    thread_count: int
    isolation: Isolation
    keep_models: bool
    verdicts: Mapping[str, Verdict]

    def of(self, cells: Sequence[PlannedCell]) -> _How:
        """The same for these cells alone, to send to a worker."""
        return replace(self, verdicts={cell.spec.key: self.verdicts[cell.spec.key] for cell in cells})


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A planned cell, its stored record if it has one, and its status."""

    cell: PlannedCell
    record: RunRecord | None
    status: CellStatus
    reason: str  # why it is stale, skipped or failed, or why its record counts as missing

    def due(self, *, retry: bool = False, force: bool = False) -> bool:
        """Whether a run has to compute it."""
        return force or self.status in ("missing", "stale") or (retry and self.status == "failed")

    def decision(self, due: bool) -> str:
        """Whether a run computes it, as ``due`` says, and why, in one line."""
        if self.lost:
            return f"{self.cell.spec}: is run again: {self.reason}"
        why = (
            "not stored" if self.status == "missing" else ": ".join(filter(None, (self.status, self.reason)))
        )
        return f"{self.cell.spec}: {'runs' if due else 'kept'}: {why}"

    @property
    def lost(self) -> bool:
        """Whether it has a record that does not count."""
        return self.status == "missing" and self.reason != ""


def run(
    study: Study | Path | str | None = None,
    *,
    retry: bool = False,
    force: bool = False,
    contract: bool = True,
    progress: bool = False,
    isolation: Isolation = APART,
    keep_models: bool = False,
    **options: Unpack[Options],
) -> Results:
    """Run a study and return its results; finished cells are skipped.

    ``study`` is a :class:`bench.study.study.Study` or the path of a study file; ``options`` are the
    fields of a study and override it: ``run(methods="lcdh,ukd", bits=[16, 32], seeds=3)``. ``methods`` and
    ``datasets`` may also be classes defined in a notebook or script, which run from their source in every
    process, tables of a name and its parameters (``{"name": Mine, "beta": [1, 2], "as": "mine"}``), and
    arrays in memory (:func:`bench.arrays`).
    ``retry`` runs failed cells again, ``force`` all cells. Methods that are not built in are checked first,
    once for every version (:mod:`bench.running.contracts`): what they fail is marked wherever their numbers
    are shown, as it is with ``contract=False``, which checks nothing. ``progress`` prints a line for each
    cell on standard error, and appends it to ``run.log`` in the results folder. Cells run in processes of
    their own, within the limits of ``isolation``.
    ``keep_models`` keeps the trained model of every cell beside its record (:func:`bench.load`); finished
    cells without one are run again.
    """
    if not isinstance(study, Study):
        study = Study.make(Path(study) if study is not None else None, **options)
    elif options:
        raise ParameterError("give either a Study or its options, not both. Use dataclasses.replace().")
    cells = Planner().cells(study)
    return complete(
        study,
        cells,
        retry=retry,
        force=force,
        contract=contract,
        progress=progress,
        isolation=isolation,
        keep_models=keep_models,
    )


run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # with the options, for help() and Tab
    [
        *(p for p in inspect.signature(run).parameters.values() if p.kind is not p.VAR_KEYWORD),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=type_)
            for name, type_ in Options.__annotations__.items()
        ),
    ],
    return_annotation="Results",
)


def complete(
    study: Study,
    cells: Sequence[PlannedCell],
    *,
    title: str = "",
    retry: bool = False,
    force: bool = False,
    contract: bool = True,
    progress: bool = False,
    isolation: Isolation = APART,
    keep_models: bool = False,
) -> Results:
    """Run the unfinished ones of these cells, the way ``study`` says, and return the results of all.

    ``title`` names them in the lines of ``progress``.
    """
    store = Store(study.results_folder)
    store.check_writable()
    store.tidy()
    for plugin in {plugin for cell in cells for plugin in (cell.plugin, cell.data.plugin)}:
        if registry.is_defined(plugin.name):
            store.keep_source(plugin.kind, plugin.name)
    stamps = {cell.spec.key: store.stamp(cell.spec) for cell in cells}
    surveyed = survey(study, cells)
    due = [
        one.cell
        for one in surveyed
        if one.due(retry=retry, force=force) or (keep_models and _lacks_model(one, store))
    ]
    log_to(store.folder / LOG if progress and due else None)
    note(f"hashbench {bench.__version__}: {len(due)} of {len(cells)} cells, {study.jobs} at once")
    if progress and title and due:
        say(f"{title}: {len(due)} of {len(cells)} cells are run first")
    records = {one.cell.spec.key: one.record for one in surveyed if one.record is not None}
    fresh = {cell.spec.key for cell in due}
    if progress:
        for one in surveyed:
            if one.lost or verbose():
                say(one.decision(one.cell.spec.key in fresh))
    for cell in cells:  # a finished cell gets the names that it is shown under now
        record = records.get(cell.spec.key)
        if record is not None and cell.spec.key not in fresh:
            new = record.shown_as(cell.spec)
            if new is not record:
                records[cell.spec.key] = store.write(new, {})
    stay = [cell for cell in cells if cell.spec.key not in fresh]
    unchecked = [cell for cell in stay if contract and records[cell.spec.key].contract is None]
    with threads.limit(study.threads):
        how = contracts.How(study.threads, isolation, progress)
        verdicts = contracts.verdicts([*due, *unchecked], how, run=contract)
    for key in (cell.spec.key for cell in unchecked):  # stored by a run that checked no contract
        records[key] = store.write(verdicts[key].on(records[key]), {})
    with (
        claims.of_this_run(store.folder.resolve()) as claimed,
        traces.Sweep(store.folder, total=len(due), jobs=study.jobs) as trace,
        Task(title, len(due), each="cell") as task,
        watched(task, trace, fresh, study.jobs),
    ):
        common = _How(study.threads, isolation, keep_models, verdicts)
        for together in _divided(due, study, common, claimed, stamps):
            ended = []
            for record, arrays in together:
                key, kept = record.spec.key, record
                if arrays is not None:
                    kept = _store(store, record, arrays, common)
                    claimed.release(key)
                elif contract and record.contract is None:
                    kept = store.write(verdicts[key].on(record), {})
                records[key] = kept
                trace.finished(kept)
                ended.append(kept)
            task.partly = partly(trace.under_way(fresh))
            if progress:
                task.finish(*map(_line, ended))
            else:
                task.advance(len(ended))
    return Results([records[cell.spec.key] for cell in cells], arrays=store.arrays)


def _lacks_model(one: Surveyed, store: Store) -> bool:
    """Whether a finished cell has no model, though its method can leave one."""
    unkept = one.cell.method.capabilities.reference in models.UNKEPT
    return one.status == "done" and not unkept and not store.model(one.cell.spec).is_file()


def _line(record: RunRecord) -> str:
    """A finished cell in one line."""
    if record.status != "ok":
        return f"{record.spec}  {record.status}: {record.reason}"
    scores = record.over("unseen").rounds[-1].metrics  # as the tables
    maps = "  ".join(
        f"{d.upper().replace('2', '→')} {scores[f'map/{d}']:.3f}" for d in record.spec.directions
    )
    codes = "  CONSTANT CODES" if record.constant else ""
    return f"{record.spec}  mAP {maps}{codes}  fit {sum(record.fit_seconds):.2f} s"


def survey(study: Study, cells: Sequence[PlannedCell]) -> list[Surveyed]:
    """The status of every cell; datasets are loaded and checked here.

    One stream of each kind is cut, so that one that cannot be cut stops the study before it starts.
    """
    store = Store(study.results_folder)
    kinds: dict[Any, PlannedCell] = {}
    surveyed = []
    for cell, record in zip(cells, store.read_all([cell.spec for cell in cells]), strict=True):
        status, reason = standing(record, cell.data.cached.fingerprint)
        surveyed.append(Surveyed(cell, record, status, reason or store.fault(cell.spec)))
        newer = (getattr(cell.spec, name) for name in SINCE)
        drawn = cell.spec.unseen_classes or cell.spec.schedule.steps
        seed = cell.spec.seed if drawn else None  # which decides the classes, and what a runbook deletes
        kinds.setdefault(
            (seed, str(cell.data), cell.spec.schedule, cell.spec.pool, cell.spec.val, *newer), cell
        )
    _cut(kinds.values(), study)
    return surveyed


def _cut(cells: Iterable[PlannedCell], study: Study) -> None:
    """Cut streams here and not in every worker, on the threads of a cell, whose number decides last bits."""
    with threads.limit(study.threads):
        for cell in cells:
            cell.stream.cut()


def _divided(
    due: Sequence[PlannedCell],
    study: Study,
    how: _How,
    claimed: Claims,
    stamps: dict[str, Stamp],
) -> Iterator[Sequence[tuple[RunRecord, Arrays | None]]]:
    """The records of all cells, those of a pass together, and those that are stored already without arrays.

    ``stamps`` tell what was stored before this run from what another has stored since.
    """
    left = {cell.spec.key: cell for cell in due}
    free, pause = list(due), _PAUSE[0]
    while left:
        for finished in _compute(free, study, how, claimed, stamps):
            for record, _ in finished:
                del left[record.spec.key]
            yield finished
        for record in _stored_since(left.values(), Store(claimed.folder), stamps):
            del left[record.spec.key]
            yield [(record, None)]
        free = [cell for key, cell in left.items() if claimed.take(key)]
        if left and not free:
            with Task(f"{counted(len(left), 'cell')} that another run computes"):
                time.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])


def _stored_since(
    cells: Iterable[PlannedCell], store: Store, stamps: dict[str, Stamp]
) -> Iterator[RunRecord]:
    """The usable records that other runs have stored since ``stamps``, which are renewed."""
    for cell in list(cells):
        stamp = store.stamp(cell.spec)
        if stamp and stamp != stamps[cell.spec.key]:
            stamps[cell.spec.key] = stamp
            record = store.read(cell.spec)
            if record and standing(record, cell.data.cached.fingerprint)[0] != "stale":
                yield record


def _compute(
    due: Sequence[PlannedCell],
    study: Study,
    how: _How,
    claimed: Claims,
    stamps: Mapping[str, Stamp],
) -> Iterator[Sequence[tuple[RunRecord, Arrays | None]]]:
    if not due:
        return
    _cut(due, study)
    plugins = registry.adopted()
    most = 1 if how.isolation.in_process else len(_groups(due, study.jobs))
    with backends.connect(study, most) as workers:
        task = partial(_task, jobs=workers.jobs, plugins=plugins, claimed=claimed)
        calls = [
            partial(task, group, how=how.of(group), stamps={c.spec.key: stamps[c.spec.key] for c in group})
            for group in _groups(due, workers.jobs)
        ]
        yield from workers.run(calls)


def _groups(due: Sequence[PlannedCell], jobs: int) -> list[list[PlannedCell]]:
    """Cells that run in one pass over the stream, few enough that every job gets one."""
    return passes.of(due, min(passes.MOST, math.ceil(len(due) / jobs)))


def _task(
    cells: Sequence[PlannedCell],
    *,
    how: _How,
    jobs: int,
    plugins: Mapping[str, Sequence[str]],
    claimed: Claims,
    stamps: Mapping[str, Stamp],
) -> list[tuple[RunRecord, Arrays | None]]:
    """One pass, on a worker; cells that it has stored come back without arrays.

    It stores them if it sees the folder of the run: each as it succeeds, then those that failed.
    """
    registry.adopt(plugins)
    store = Store(claimed.folder)
    cells = _claim(cells, store, claimed, stamps)
    if not cells:
        return []
    specs = [cell.spec for cell in cells]
    stored: dict[str, RunRecord] = {}

    def keep(record: RunRecord, arrays: Arrays) -> None:
        stored[record.spec.key] = _store(store, record, arrays, how)
        claimed.release(record.spec.key)

    here = claimed.shared
    if jobs > 1 and at_terminal():
        relay(lambda _: None)  # the run shows how far its workers are
    with traces.running(store.folder, specs) as moved:
        outcomes = run_cells(
            cells,
            thread_count=how.thread_count,
            jobs=jobs,
            checkpoints=[store.checkpoint(spec) for spec in specs],
            isolation=how.isolation,
            keep_models=how.keep_models,
            early=keep if here else None,
            moved=moved,
        )
        for record, arrays in outcomes if here else ():
            if record.spec.key not in stored:
                keep(record, arrays)
    return [(record, None) for record in stored.values()] if here else list(outcomes)


def _store(store: Store, record: RunRecord, arrays: Arrays, how: _How) -> RunRecord:
    model = arrays.pop(models.ENTRY, np.empty(0, np.uint8)).tobytes()
    return store.write(how.verdicts[record.spec.key].on(record), arrays, model)


def _claim(
    cells: Sequence[PlannedCell], store: Store, claimed: Claims, stamps: Mapping[str, Stamp]
) -> list[PlannedCell]:
    """The cells of a pass that no other run computes or has stored since ``stamps``, now claimed.

    At one that another run computes it stops: that run is about to claim the rest of the pass, too.
    """
    mine: list[PlannedCell] = []
    for cell in cells:
        key = cell.spec.key
        if not claimed.take(key):
            break
        if store.stamp(cell.spec) in (None, stamps[key]):
            mine.append(cell)
        else:
            claimed.release(key)
    return mine
