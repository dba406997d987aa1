"""Where the passes of a sweep run: on this machine, a Dask or Ray cluster, or SLURM. One module for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bench.study.study import Study

Call = Callable[[], Any]


class Workers(Protocol):
    """Workers that are ready."""

    @property
    def jobs(self) -> int:
        """The number of calls that run at once."""
        ...

    def run(self, calls: Sequence[Call]) -> Iterator[Any]:
        """The results of the calls, each as soon as it ends.

        Raises :class:`bench.errors.LostError` where the workers cannot end all of them.
        """
        ...


def connect(study: Study, most: int) -> AbstractContextManager[Workers]:
    """The workers that a study asks for, on this machine at most ``most`` of them."""
    if study.backend == "dask":
        from bench.running.backends import dask

        return dask.connect(study.scheduler)
    if study.backend == "ray":
        from bench.running.backends import ray

        return ray.connect(study.scheduler)
    if study.backend == "slurm":
        from bench.running.backends import slurm

        return slurm.connect(study)
    from bench.running.backends import local

    return local.connect(study, min(study.jobs, most))  # an idle worker takes a second to start
