"""What the harness costs beside the methods, and what a second worker gains: ratios within one run."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import bench
from bench.isolation import nursery
from bench.isolation.process import Child
from bench.running.hosts import Isolation
from bench.running.runner import run_cells
from bench.running.sweep import survey
from bench.storing.store import Store
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = Path(__file__).parents[1] / "plugins"


def test_a_cell_costs_the_harness_at_most_a_million_additions(race: Any, timed: Any, tmp_path: Path) -> None:
    """A cell of a method that does next to nothing, from start to stored result; additions of Python."""
    plugins = [str(PLUGINS / name) for name in ("halves.py", "tiny.py")]
    study = Study.make(
        None,
        methods="halves",
        datasets="tiny",
        bits="8",
        seeds=30,
        plugin=plugins,
        results=str(tmp_path / "runs"),
    )
    cells = iter(survey(study, Planner().cells(study)))
    store = Store(study.results_folder)
    store.check_writable()

    def one() -> None:
        [outcome] = run_cells([next(cells).cell])
        store.write(*outcome)

    additions = timed(lambda: sum(i for i in range(1_000_000)))
    assert race(one, {"a million additions": additions}, rounds=25)["a million additions"] >= 1


def test_two_workers_run_eight_cells_at_least_1_4_times_as_fast(benchmark: Any, tmp_path: Path) -> None:
    """Interleaved, the median of five pairs; the workers are started before."""
    study: dict[str, Any] = {
        "methods": "olsh",
        "datasets": "synthetic[n=12000]",
        "bits": "64",
        "schedule": "shuffled:1000",
    }

    def seconds(jobs: int, name: str) -> float:
        started = time.perf_counter()
        bench.run(**study, seeds=8, jobs=jobs, results=str(tmp_path / name))
        return time.perf_counter() - started

    seconds(2, "warm")

    def gains() -> list[float]:
        return [seconds(1, f"{i}-1") / seconds(2, f"{i}-2") for i in range(5)]

    found = benchmark.pedantic(gains, rounds=1)
    benchmark.extra_info["times as fast"] = statistics.median(found)
    assert statistics.median(found) >= 1.4


def test_a_process_of_its_own_costs_a_cell_at_most_30_milliseconds(benchmark: Any, tmp_path: Path) -> None:
    """CPU seconds of ten cells apart and of ten in process, the least of seven turns.

    Other work on the machine does not count. The process that children are forked from runs before.
    """
    cell = planned(tmp_path, "halves", "tiny", "shuffled:20")

    def ten(isolation: Isolation) -> float:
        before = cpu()
        for _ in range(10):
            run(cell, isolation)
        return cpu() - before

    def turns() -> list[tuple[float, float]]:
        return [(ten(Isolation()), ten(Isolation(in_process=True))) for _ in range(7)]

    run(cell, Isolation())
    apart, here = map(min, zip(*benchmark.pedantic(turns, rounds=1), strict=True))
    benchmark.extra_info["milliseconds"] = 1000 * (apart - here) / 10
    assert (apart - here) / 10 <= 0.030


def test_a_round_of_2000_by_512_costs_at_most_a_twentieth_more_apart(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nineteen rounds more, encoded at the end: the least CPU seconds of both processes in seven turns.

    What a cell costs apart, whatever its length, drops out.
    """
    long, short = (planned(tmp_path, "lemon", f"wide[n={n}]", "stored:2000") for n in (40_000, 2_000))
    children = [0.0]
    close = Child.close

    def counted(child: Child, **how: Any) -> None:
        children[0] += child.cpu()
        close(child, **how)

    monkeypatch.setattr(Child, "close", counted)

    def spent(cell: Any, isolation: Isolation) -> float:
        before = time.process_time() + children[0]
        run(cell, isolation)
        return time.process_time() + children[0] - before

    def seconds() -> list[list[float]]:
        hows = Isolation(), Isolation(in_process=True)
        return [[spent(cell, how) for how in hows for cell in (long, short)] for _ in range(7)]

    run(short, Isolation())
    apart, apart_short, here, here_short = map(min, zip(*benchmark.pedantic(seconds, rounds=1), strict=True))
    ratio = (apart - apart_short) / (here - here_short)
    benchmark.extra_info["times the CPU seconds"] = ratio
    assert ratio <= 1.05


def planned(tmp_path: Path, method: str, dataset: str, schedule: str) -> Any:
    plugins = [str(PLUGINS / name) for name in ("halves.py", "tiny.py", "wide.py")]
    study = Study.make(
        None,
        methods=method,
        datasets=dataset,
        bits="32",
        seeds=1,
        train="all",
        schedule=schedule,
        plugin=plugins,
        results=str(tmp_path / "runs"),
    )
    return survey(study, Planner().cells(study))[0].cell


def run(cell: Any, isolation: Isolation) -> None:
    [(record, _)] = run_cells([cell], isolation=isolation)
    assert record.status == "ok", record.traceback


def cpu() -> float:
    """CPU seconds of this process, and of the one that children are forked from, with ended children."""
    forking = [psutil.Process(one._process.pid).cpu_times() for one in nursery._nurseries.values()]
    return time.process_time() + sum(sum(times[:4]) for times in forking)
