"""Runs the unfinished cells of a study, on one worker or many.

Everything goes through joblib, so the same sweep runs in this process, in local worker
processes, or on a Dask or Ray cluster. Only this process stores cells; a worker leaves a trace of
the cells that it runs, and saves long ones between rounds (bench.storing).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import threads
from bench.errors import BenchError, ParameterError
from bench.plugins import registry
from bench.progress import Task, say
from bench.records import RunRecord
from bench.results import Results
from bench.running import contracts
from bench.running.runner import Arrays, run_cells
from bench.storing import traces
from bench.storing.store import CellStatus, Store, standing
from bench.study.planned import PlannedCell
from bench.study.planner import Planner
from bench.study.study import Study

PASS = 32  # cells of one pass at most; each holds a method and its database codes


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


def run(
    study: Study | Path | str | None = None,
    *,
    retry: bool = False,
    force: bool = False,
    contract: bool = True,
    progress: bool = False,
    **options: Any,
) -> Results:
    """Run a study and return its results; finished cells are skipped.

    ``study`` is a :class:`bench.study.study.Study` or the path of a study file; ``options`` are the
    fields of a study and override it: ``run(methods="lcdh,ukd", bits=[16, 32], seeds=3)``.
    ``retry`` runs failed cells again, ``force`` all cells. Methods that are not built in are checked first,
    once for every version (:mod:`bench.running.contracts`): what they fail is marked wherever their numbers
    are shown, as it is with ``contract=False``, which checks nothing. ``progress`` prints a line for each
    cell on standard error.
    """
    if not isinstance(study, Study):
        study = Study.make(Path(study) if study is not None else None, **options)
    elif options:
        raise ParameterError("give either a Study or its options, not both. Use dataclasses.replace().")
    cells = Planner().cells(study)
    return complete(study, cells, retry=retry, force=force, contract=contract, progress=progress)


def complete(
    study: Study,
    cells: Sequence[PlannedCell],
    *,
    title: str = "",
    retry: bool = False,
    force: bool = False,
    contract: bool = True,
    progress: bool = False,
) -> Results:
    """Run the unfinished ones of these cells, the way ``study`` says, and return the results of all.

    ``title`` names them in the lines of ``progress``.
    """
    store = Store(study.results_folder)
    store.check_writable()
    surveyed = survey(study, cells)
    due = [one.cell for one in surveyed if one.due(retry=retry, force=force)]
    if progress and title and due:
        say(f"{title}: {len(due)} of {len(cells)} cells are run first")
    if progress:
        for one in surveyed:
            if one.status == "missing" and one.reason:
                say(f"{one.cell.spec}: is run again: {one.reason}")
    records = {one.cell.spec.key: one.record for one in surveyed if one.record is not None}
    fresh = {cell.spec.key for cell in due}
    for cell in cells:  # a finished cell gets the names that it is shown under now
        record = records.get(cell.spec.key)
        if record is not None and cell.spec.key not in fresh:
            new = record.shown_as(cell.spec)
            if new is not record:
                records[cell.spec.key] = store.write(new, {})
    stay = [cell for cell in cells if cell.spec.key not in fresh]
    unchecked = [cell for cell in stay if contract and records[cell.spec.key].contract is None]
    with threads.limit(study.threads):
        verdicts = contracts.verdicts([*due, *unchecked], run=contract, progress=progress)
    for key in (cell.spec.key for cell in unchecked):  # stored by a run that checked no contract
        records[key] = store.write(verdicts[key].on(records[key]), {})
    with (
        traces.Sweep(store.folder, total=len(due), jobs=study.jobs) as trace,
        Task(title, len(due), each="cell") as task,
    ):
        for record, arrays in _compute(due, study):
            kept = store.write(verdicts[record.spec.key].on(record), arrays)
            records[kept.spec.key] = kept
            trace.finished(kept)
            if progress:
                task.finish(_line(kept))
            else:
                task.advance()
    return Results([records[cell.spec.key] for cell in cells], arrays=store.arrays)


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
        kinds.setdefault((str(cell.data), cell.spec.schedule, cell.spec.pool, cell.spec.val), cell)
    _cut(kinds.values(), study)
    return surveyed


def _cut(cells: Iterable[PlannedCell], study: Study) -> None:
    """Cut streams here and not in every worker, on the threads of a cell, whose number decides last bits."""
    with threads.limit(study.threads):
        for cell in cells:
            cell.stream.cut()


def _compute(due: Sequence[PlannedCell], study: Study) -> Iterator[tuple[RunRecord, Arrays]]:
    from joblib import delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if not due:
        return
    _cut(due, study)
    plugins = registry.added_files()
    with _backend(study) as jobs:
        task = delayed(_task)
        folder = study.results_folder.resolve()
        tasks = [task(group, study.threads, jobs, plugins, folder) for group in _groups(due, jobs)]
        try:
            for finished in _as_finished(tasks, study.backend, jobs):
                yield from finished
        except TerminatedWorkerError as error:
            raise BenchError(
                "a worker process was killed, most likely because memory ran out. Finished cells are kept: "
                "run again with fewer --jobs."
            ) from error


def _as_finished(tasks: list[Any], backend: str, jobs: int) -> Iterator[Any]:
    """The results of the tasks as they end; with Ray in batches, since its joblib backend cannot do that."""
    from joblib import Parallel

    if backend != "ray":
        yield from Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)(tasks)
        return
    for start in range(0, len(tasks), jobs):
        yield from Parallel()(tasks[start : start + jobs])


def _groups(due: Sequence[PlannedCell], jobs: int) -> list[list[PlannedCell]]:
    """Cells that run in one pass over the stream: they differ in code length and in what may vary.

    The cells of a pass are in memory together, so it has at most ``PASS``, and few enough that every
    job gets one.
    """
    most = min(PASS, math.ceil(len(due) / jobs))
    groups: defaultdict[str, list[PlannedCell]] = defaultdict(list)
    for cell in due:
        fixed = {k: value for k, value in cell.spec.params.items() if k not in cell.method.varies}
        groups[replace(cell.spec, bits=0, params=fixed).key].append(cell)
    return [group[i : i + most] for group in groups.values() for i in range(0, len(group), most)]


def _task(
    cells: Sequence[PlannedCell], thread_count: int, jobs: int, plugins: Sequence[Path], folder: Path
) -> list[tuple[RunRecord, Arrays]]:
    for path in plugins:
        registry.add_file(path)
    specs = [cell.spec for cell in cells]
    with traces.running(folder, specs):
        kept = [Store(folder).checkpoint(spec) for spec in specs]
        return run_cells(cells, thread_count=thread_count, jobs=jobs, checkpoints=kept)


@contextmanager
def _backend(study: Study) -> Iterator[int]:
    """Set joblib up as the study says; gives the number of cells that run at once."""
    from joblib import parallel_config

    with ExitStack() as stack:
        if study.backend == "dask":
            jobs = _connect_dask(stack, study.scheduler)
            stack.enter_context(parallel_config(backend="dask", n_jobs=-1, wait_for_workers_timeout=60))
        elif study.backend == "ray":
            jobs = _connect_ray(stack, study.scheduler)
            stack.enter_context(parallel_config(backend="ray", n_jobs=jobs))
        else:
            jobs = study.jobs
            inner = {"inner_max_num_threads": study.threads} if study.backend == "loky" else {}
            stack.enter_context(parallel_config(backend=study.backend, n_jobs=jobs, **inner))
        yield jobs


def _connect_dask(stack: ExitStack, address: str) -> int:
    try:
        from distributed import Client
    except ImportError as error:
        raise _missing("dask") from error
    try:
        client = stack.enter_context(Client(address or None, timeout=30, set_as_default=True))
    except OSError as error:
        raise BenchError(f"no Dask scheduler answers at {address!r}: {error}. Check --scheduler.") from error
    return sum(client.nthreads().values()) or 1


def _connect_ray(stack: ExitStack, address: str) -> int:
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise _missing("ray") from error
    ray.init(address=address or None, ignore_reinit_error=True, log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()
    return int(ray.cluster_resources().get("CPU", 1))


def _missing(extra: str) -> BenchError:
    return BenchError(f"backend {extra} is not installed. Run `pip install 'hashbench[{extra}]'`.")
