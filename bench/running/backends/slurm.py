"""SLURM jobs by submitit: one array, and one task of it for each pass.

Tasks wait in the queue as long as the cluster lets them. Their pickles and logs lie in a hidden folder of the
results folder, which every node must see, until the sweep ends. The trap: SLURM kills the processes of a job
in any order, so a job that went on after SIGTERM would see its method die, and store the cell as failed.
"""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, LostError, ParameterError, not_installed, said
from bench.running.backends import Call
from bench.study.study import Study

LOCAL = "local"  # the scheduler that runs jobs as processes of this machine, to try a study without SLURM
_PAUSE = 1.0  # seconds between two looks at the jobs; submitit asks SLURM itself less often
_MINUTES = 24 * 60  # that a pass may take, unless the scheduler's options say otherwise


@dataclass(frozen=True)
class Slurm:
    """An executor of submitit; ``jobs`` tasks of the array run at once."""

    executor: Any
    jobs: int

    def run(self, calls: Sequence[Call]) -> Iterator[Any]:
        """The results of all jobs that end; LostError at the end if some did not."""
        running = self.executor.map_array(_called, calls)
        count, lost = len(running), list[str]()
        try:
            while running:
                ended = [job for job in running if job.done()]
                running = [job for job in running if job not in ended]
                for job in ended:
                    if (error := job.exception()) is None:
                        yield job.result()
                    else:
                        lost.append(_reason(job, error))
                if running and not ended:
                    time.sleep(_PAUSE)
        finally:
            for job in running:
                job.cancel(check=False)
        if lost:
            raise LostError(
                f"{len(lost)} of {count} SLURM jobs did not end: {lost[0]}. Finished cells are kept: run "
                "again to continue."
            )


def _called(call: Call) -> Any:
    """Run one pass in a job; SIGTERM, which precedes the kill, ends it with no cell stored as failed."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # sent 90 s before the time limit: the pass may still end
    return call()


def _end(number: int, _: object) -> None:
    raise KeyboardInterrupt(f"SLURM sent {signal.Signals(number).name}")


def _reason(job: Any, error: BaseException) -> str:
    """Why a job has no result, in one line: its state, and the last line of its log."""
    log = (job.stderr() or "").strip().splitlines()
    return f"job {job.job_id} is {job.state}: {(log or said(error) or ['no log'])[-1].strip()}"


@contextmanager
def connect(study: Study) -> Iterator[Slurm]:
    """An executor whose jobs have the options of ``study.scheduler``: ``partition=gpu,time=120``."""
    try:
        import submitit
    except ImportError as error:
        raise BenchError(not_installed("backend slurm", "submitit", "slurm")) from error
    given = options(study.scheduler)
    if study.scheduler != LOCAL and shutil.which("sbatch") is None:
        raise ParameterError(
            "backend slurm needs sbatch, which is not on the PATH; expected the login node of a cluster. "
            f"--scheduler {LOCAL} runs the jobs on this machine."
        )
    logging.getLogger("submitit").setLevel(logging.ERROR)  # its warnings go to standard output
    if study.scheduler != LOCAL and not _accounts():
        from bench.running.backends import queue

        queue.watch()
    folder = Path(tempfile.mkdtemp(prefix=".slurm-", dir=study.results_folder.resolve()))
    try:
        executor = submitit.AutoExecutor(folder, cluster=LOCAL if study.scheduler == LOCAL else "slurm")
        executor.update_parameters(
            name="bench",
            timeout_min=_MINUTES,
            cpus_per_task=study.threads,
            slurm_array_parallelism=study.jobs,
            slurm_additional_parameters=given,
        )
        yield Slurm(executor, study.jobs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accounts() -> bool:
    """Whether the cluster keeps accounts of its jobs, from which submitit reads their states."""
    sacct = shutil.which("sacct")
    return sacct is not None and subprocess.run([sacct], capture_output=True, check=False).returncode == 0


def options(text: str) -> dict[str, str]:
    """The options of sbatch in ``partition=gpu,time=120``; none in ``local`` and in "".

    >>> options("partition=gpu,time=120")
    {'partition': 'gpu', 'time': '120'}
    """
    if text in ("", LOCAL):
        return {}
    pairs = [option.partition("=") for option in text.split(",")]
    if not all(name.strip("-") and value for name, _, value in pairs):
        raise ParameterError(
            f"scheduler is {text!r}; expected options of sbatch for backend slurm, such as "
            f"partition=gpu,time=120, or {LOCAL}."
        )
    return {name.strip("-"): value for name, _, value in pairs}
