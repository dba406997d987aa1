"""Cells run on other machines: what a sweep does when workers, or the scheduler, are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import LostError, ParameterError
from bench.running.backends import slurm

PLUGINS = ",".join(str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py")))
GRID = ["--plugin", PLUGINS, "--datasets", "tiny", "--bits", "8,16", "--no-contract"]
DASK = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
DASK_OPTIONS = ["--backend", "dask", "--scheduler"]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker"]


def command(results: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "bench.cli", "run", *GRID, "--results", str(results), *more]


def records(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"))


def environment(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "BENCH_CACHE": str(folder / "cache")}


class Job:
    """A job of submitit that has ended, or died."""

    job_id, state = "7_0", "OUT_OF_MEMORY"

    def __init__(self, result: object) -> None:
        self.value = result

    def done(self) -> bool:
        return True

    def exception(self) -> Exception | None:
        return self.value if isinstance(self.value, Exception) else None

    def result(self) -> object:
        return self.value

    def stderr(self) -> str:
        return "starting\nslurmstepd: error: Detected 1 oom_kill event\n"


class Executor:
    """An executor whose jobs have ended."""

    def __init__(self, *results: object) -> None:
        self.results = results

    def map_array(self, *_: object) -> list[Job]:
        return [Job(result) for result in self.results]


def test_a_lost_job_is_reported_after_the_others_have_ended() -> None:
    results = slurm.Slurm(Executor(1, RuntimeError("no result"), 3), 2).run([int] * 3)
    assert [next(results), next(results)] == [1, 3]
    with pytest.raises(
        LostError, match=r"1 of 3 SLURM jobs did not end: job 7_0 is OUT_OF_MEMORY: .*oom_kill"
    ):
        next(results)


def test_options_of_sbatch_are_read() -> None:
    assert slurm.options("--partition=gpu,time=1-00:00:00") == {"partition": "gpu", "time": "1-00:00:00"}


@pytest.mark.parametrize("text", ["gpu", "partition=", "=gpu", "tcp://a:1", "partition=gpu,,time=3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="expected options of sbatch"):
        slurm.options(text)


def test_a_machine_without_sbatch_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["run", *GRID, "--methods", "halves", "--results", str(tmp_path / "r"), "--backend", "slurm"]
    assert main(words) == 2
    assert "backend slurm needs sbatch" in capsys.readouterr().err


def test_sigterm_ends_a_job_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    assert slurm._called(lambda: 1) == 1
    with pytest.raises(
        KeyboardInterrupt, match="SLURM sent SIGTERM"
    ):  # no Exception, which would fail a cell
        handlers[signal.SIGTERM](signal.SIGTERM, None)


FAKES = {
    "sacct": "echo Slurm accounting storage is disabled >&2; exit 1",
    "squeue": 'if [ -e "$RUNNING" ]; then echo "7_0|RUNNING"; fi',
    "scancel": "exit 0",
    "srun": 'while [ "$1" != "$PYTHON" ]; do shift; done; "$@"',
    "sbatch": """touch "$RUNNING"
export SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=0  # no other task ever starts
{ sh "$1"; rm "$RUNNING"; } >/dev/null 2>&1 &
echo Submitted batch job 7""",
}


@pytest.mark.slow
def test_a_job_that_leaves_the_queue_of_slurm_without_a_result_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    submitit = pytest.importorskip("submitit.slurm.slurm")
    for name, text in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("RUNNING", str(tmp_path / "running"))
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0)
    monkeypatch.setattr(submitit.SlurmJob, "watcher", submitit.SlurmJob.watcher)  # which is replaced
    words = ["run", *GRID, "--methods", "halves", "--results", str(tmp_path / "r"), "--seeds", "2"]
    assert main([*words, "--jobs", "2", "--backend", "slurm"]) == 1
    out, error = capfd.readouterr()
    assert "1 of 2 SLURM jobs did not end: job 7_1 is GONE" in error
    assert "submitit" not in out + error
    assert len(records(tmp_path / "r")) == 2  # both cells of the pass that ended


@pytest.mark.slow
def test_jobs_of_submitit_store_the_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("submitit")
    words = [*GRID, "--methods", "halves", "--results", str(tmp_path / "r"), "--seeds", "2", "--jobs", "2"]
    assert main(["run", *words, "--backend", "slurm", "--scheduler", "local"]) == 0
    assert len(records(tmp_path / "r")) == 4
    assert not list((tmp_path / "r").glob(".*"))
    capsys.readouterr()
    assert main(["run", *words]) == 0
    assert not capsys.readouterr().err  # finished cells are skipped


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a Dask scheduler; its process, then those of its workers."""
    pytest.importorskip("distributed")
    file = folder / "scheduler.json"
    about = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    quiet["env"] = environment(folder)
    processes = [subprocess.Popen([*DASK, *about, "--scheduler-file", str(file)], **quiet)]
    try:
        for _ in range(workers):
            own = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
            processes.append(subprocess.Popen([*WORKER, "--scheduler-file", str(file), *own], **quiet))
        deadline = time.monotonic() + 60
        while not file.exists() or '"address"' not in (text := file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield text.partition('"address": "')[2].partition('"')[0], processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def sweep(folder: Path, address: str, seeds: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(
            folder / "r", "--methods", "slow", "--seeds", seeds, "--backend", "dask", "--scheduler", address
        ),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_cells(folder: Path, count: int, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while len(records(folder / "r")) < count and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_dask_worker_costs_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__ADMIN__LARGE_GRAPH_WARNING_THRESHOLD", "100B")
    with cluster(tmp_path, 2) as (address, processes):
        running = sweep(tmp_path, address, "12")
        await_cells(tmp_path, 2, running)
        processes[1].send_signal(signal.SIGKILL)
        _, error = running.communicate(timeout=120)
    assert running.returncode == 0, error
    assert "large graph" not in error
    assert len(records(tmp_path / "r")) == 24


@pytest.mark.slow
@pytest.mark.parametrize(("number", "says"), [(0, "is lost"), (1, "has had no worker for")])
def test_a_lost_dask_cluster_is_one_line_within_a_minute(tmp_path: Path, number: int, says: str) -> None:
    with cluster(tmp_path, 1) as (address, processes):
        running = sweep(tmp_path, address, "40")
        await_cells(tmp_path, 2, running)
        processes[number].send_signal(signal.SIGKILL)
        _, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert [line for line in error.splitlines() if "mAP" not in line] == [error.splitlines()[-1]]
    assert says in error.splitlines()[-1]
    assert len(records(tmp_path / "r")) >= 2
