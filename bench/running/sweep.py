"""Runs the cells of a study that are not done yet, on as many workers as asked for.

Everything goes through joblib, so the same sweep runs in this process, in local worker
processes, or on a Dask or Ray cluster. Only this process stores cells;
a worker leaves a trace of what it runs, and saves between rounds what takes long (bench.storing).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.data import cache
from bench.data.cache import CachedDataset
from bench.errors import BenchError, ParameterError
from bench.plugins import registry
from bench.protocol import stream
from bench.records import RunRecord, RunSpec, selector
from bench.results import Results
from bench.running.runner import Arrays, run_cells
from bench.storing import traces
from bench.storing.store import State, Store
from bench.study.study import Study

PASS = 32  # cells of one pass at most; each holds a method and its database codes
BACKENDS = ("loky", "threading", "multiprocessing", "dask", "ray")
Progress = Callable[["Cell", RunRecord, int, int], None]  # cell, its record, cells finished, cells to run


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a study as it stands: what it is, its data, and whether it is done."""

    spec: RunSpec
    data: CachedDataset
    state: State
    reason: str

    def due(self, *, retry: bool = False, force: bool = False) -> bool:
        """Whether a run has to compute it."""
        return force or self.state in ("missing", "stale") or (retry and self.state == "failed")


def run(
    study: Study | Path | str | None = None,
    *,
    retry: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Results:
    """Run a study and return its results; cells that are done are not run again.

    ``study`` is a :class:`bench.study.study.Study` or the path of a study file; ``options`` are the
    fields of a study and override it: ``run(methods="lcdh,ukd", bits=[16, 32], seeds=3)``.
    ``retry`` runs failed cells again, ``force`` all of them.
    """
    if not isinstance(study, Study):
        study = Study.make(Path(study) if study is not None else None, **options)
    elif options:
        raise ParameterError("give either a Study or its options, not both. Use dataclasses.replace().")
    return complete(study, study.cells(), retry=retry, force=force, progress=progress)


def complete(
    study: Study,
    specs: Sequence[RunSpec],
    *,
    retry: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Results:
    """Run those of these cells that are not done, the way ``study`` says, and return all of them."""
    store = Store(study.results_folder)
    store.check_writable()
    cells = survey(study, specs)
    due = [cell for cell in cells if cell.due(retry=retry, force=force)]
    with traces.Sweep(store.folder, total=len(due), jobs=study.jobs) as trace:
        for count, (cell, record, arrays) in enumerate(_compute(due, study), start=1):
            kept = store.write(record, arrays)
            trace.finished(kept)
            if progress is not None:
                progress(cell, kept, count, len(due))
    return collect(store, cells)


def survey(study: Study, specs: Sequence[RunSpec] | None = None) -> list[Cell]:
    """Cells (those of the study itself) and where each stands; datasets are loaded and checked here."""
    specs = study.cells() if specs is None else specs
    store = Store(study.results_folder)
    stored: dict[str, CachedDataset] = {}
    for spec in specs:
        name = selector(spec.dataset, spec.dataset_params)
        if name not in stored:
            stored[name] = cache.prepare(spec.dataset, spec.dataset_params, study.data_folder)
    _check_streams(specs, stored)
    cells = []
    for spec in specs:
        data = stored[selector(spec.dataset, spec.dataset_params)]
        cells.append(Cell(spec, data, *store.state(spec, data.fingerprint)))
    return cells


def collect(store: Store, cells: Iterable[Cell]) -> Results:
    """The stored records of these cells."""
    found = ((cell, store.read(cell.spec)) for cell in cells)
    records = [record for _, record in found if record is not None]
    return Results(records, arrays=store.arrays)


def _check_streams(specs: Iterable[RunSpec], stored: Mapping[str, CachedDataset]) -> None:
    """Cut every kind of stream once, so that one that cannot be cut stops the study before it starts."""
    seen: set[tuple[str, str, str, int]] = set()
    for spec in specs:
        name = selector(spec.dataset, spec.dataset_params)
        kind = (name, str(spec.schedule), spec.pool, spec.val)
        if kind not in seen:
            seen.add(kind)
            stream.of(spec, stored[name].open().train)


def _compute(due: list[Cell], study: Study) -> Iterator[tuple[Cell, RunRecord, Arrays]]:
    from joblib import delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if not due:
        return
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
                "a worker process was killed, most likely for want of memory. The cells that are done are "
                "kept: run again with fewer --jobs."
            ) from error


def _as_finished(tasks: list[Any], backend: str, jobs: int) -> Iterator[Any]:
    """What the tasks return, as they end; Ray's joblib backend cannot do that and works by batches."""
    from joblib import Parallel

    if backend != "ray":
        yield from Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)(tasks)
        return
    for start in range(0, len(tasks), jobs):
        yield from Parallel()(tasks[start : start + jobs])


def _groups(due: Sequence[Cell], jobs: int) -> list[list[Cell]]:
    """Cells that run in one pass over the stream: they differ in code length and in what may vary.

    All of a pass are in memory at once, so it has at most ``PASS`` cells, and no more than leave
    something for every job.
    """
    most = min(PASS, math.ceil(len(due) / jobs))
    varies = {name: registry.get("method", name).varies for name in {cell.spec.method for cell in due}}
    found: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in due:
        fixed = {k: value for k, value in cell.spec.params.items() if k not in varies[cell.spec.method]}
        found[replace(cell.spec, bits=0, params=fixed).key].append(cell)
    return [group[i : i + most] for group in found.values() for i in range(0, len(group), most)]


def _task(
    group: list[Cell], threads: int, jobs: int, plugins: list[Path], folder: Path
) -> list[tuple[Cell, RunRecord, Arrays]]:
    for path in plugins:
        registry.add_file(path)
    specs = [cell.spec for cell in group]
    with traces.running(folder, specs):
        kept = [Store(folder).checkpoint(spec) for spec in specs]
        ran = run_cells(specs, group[0].data, thread_count=threads, jobs=jobs, checkpoints=kept)
    return [(cell, *outcome) for cell, outcome in zip(group, ran, strict=True)]


@contextmanager
def _backend(study: Study) -> Iterator[int]:
    """joblib set up as the study says; gives the number of cells that run at once."""
    from joblib import parallel_config

    if study.backend not in BACKENDS:
        raise ParameterError(f"backend must be one of {', '.join(BACKENDS)}; got {study.backend!r}.")
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
