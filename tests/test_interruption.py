"""What a kill, a second writer, and another machine do to a sweep: nothing that a user would see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLUGINS = ",".join(str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py")))
GRID = [
    "--plugin",
    PLUGINS,
    "--datasets",
    "tiny",
    "--methods",
    "halves,slow",
    "--bits",
    "8,16",
    "--seeds",
    "3",
    "--no-contract",
]


def command(results: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "bench.cli", "run", *GRID, "--results", str(results), *more]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "BENCH_CACHE": str(tmp_path / "cache")}


def table(output: str) -> list[str]:
    """The table without its last line, which says how long it took."""
    return [line for line in output.splitlines() if "stored in" not in line]


def finish(results: Path, environment: dict[str, str], *more: str) -> list[str]:
    done = subprocess.run(
        command(results, *more),
        cwd=results.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return table(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_sweep_goes_on_and_ends_in_the_same_table(
    tmp_path: Path, environment: dict[str, str], jobs: str
) -> None:
    whole = finish(tmp_path / "whole", environment)
    broken = tmp_path / "broken"
    for cells in (2, 4, 6):  # killed three times, at last where every cell that is not held has ended
        running = subprocess.Popen(
            command(broken, "--jobs", jobs),
            cwd=tmp_path,
            env={**environment, "HELD": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while len(list(broken.glob("[!.]*.json"))) < cells and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    left = {p.name: p.stat().st_mtime_ns for p in broken.glob("[!.]*.json")}
    assert len(left) == 6
    assert finish(broken, environment) == whole
    assert len(list(broken.glob("[!.]*.json"))) == 12
    kept = {p.name: p.stat().st_mtime_ns for p in broken.glob("[!.]*.json") if p.name in left}
    assert kept == left  # what was done was not done again


@pytest.mark.slow
def test_two_runs_on_one_folder_lose_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    whole = finish(tmp_path / "whole", environment)
    shared = tmp_path / "shared"
    running = [
        subprocess.Popen(command(shared), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        assert table(output) == whole
    assert len(list(shared.glob("[!.]*.json"))) == 12
    assert not list(shared.glob(".*"))


@pytest.mark.slow
def test_a_dask_cluster_of_two_processes_runs_the_cells(tmp_path: Path, environment: dict[str, str]) -> None:
    distributed = pytest.importorskip("distributed")
    whole = finish(tmp_path / "whole", environment)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        address = cluster.scheduler_address
        there = finish(tmp_path / "dask", environment, "--backend", "dask", "--scheduler", address)
        again = subprocess.run(
            command(tmp_path / "dask"),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert [line for line in there if "∥" not in line] == [line for line in whole if "∥" not in line]
    assert again.stderr == ""  # found done, whichever backend ran them


@pytest.mark.slow
def test_ray_runs_the_cells(tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("ray", reason="the extra hashbench[ray] is not installed")
    whole = finish(tmp_path / "whole", environment)
    there = finish(tmp_path / "ray", environment, "--backend", "ray")
    assert [line for line in there if "∥" not in line] == [line for line in whole if "∥" not in line]
