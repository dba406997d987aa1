"""Worker processes or threads on this machine, by joblib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from bench.isolation import workers
from bench.running.backends import Call
from bench.study.study import Study


@dataclass(frozen=True)
class Local:
    """joblib is set up for ``jobs`` workers."""

    jobs: int

    def run(self, calls: Sequence[Call]) -> Iterator[Any]:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        parallel = Parallel(return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
        try:
            yield from parallel(delayed(call)() for call in calls)
        except TerminatedWorkerError as error:
            raise BenchError(
                "a worker process was killed, most likely because memory ran out. Finished cells are kept: "
                "run again with fewer --jobs."
            ) from error


@contextmanager
def connect(study: Study, jobs: int) -> Iterator[Local]:
    """``jobs`` workers, which start with their first call."""
    from joblib import parallel_config

    loky = study.backend == "loky"
    backend: Any = workers.loky(inner_max_num_threads=study.threads) if loky else study.backend
    with parallel_config(backend=backend, n_jobs=jobs):
        yield Local(jobs)
