"""Runs on one results folder share its cells, whoever dies; shards divide a study without a lock."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.errors import ParameterError
from bench.plugins import registry
from bench.storing import claims
from bench.storing.claims import Claims
from bench.study import passes
from bench.study.planner import Planner
from bench.study.study import Study

ROOT = Path(__file__).parents[1]
PLUGINS = ",".join(str(ROOT / "tests" / "plugins" / name) for name in ("counts.py", "tiny.py", "halves.py"))
CELL = "0123456789abcdef"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Claims]:
    with claims.of_this_run(tmp_path) as run:
        yield run


def other(
    folder: Path, *, pid: int = os.getpid(), host: str = platform.node(), run: str = "run-other-1"
) -> Claims:
    """Another run, with a lease that names this process."""
    held = claims.Claims(folder, run)
    text = f'{{"run": "{run}", "host": "{host}", "pid": {pid}, "since": {time.time()}}}'
    (folder / f".{run}.lease").write_text(text)
    return held


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_one_of_two_runs_gets_a_cell(ours: Claims) -> None:
    theirs = other(ours.folder)
    assert ours.take(CELL)
    assert not theirs.take(CELL)
    assert theirs.take("another")


def test_a_released_cell_is_free(ours: Claims) -> None:
    ours.take(CELL)
    ours.release(CELL)
    assert other(ours.folder).take(CELL)


def test_a_run_may_claim_its_own_cell_again(ours: Claims) -> None:
    assert ours.take(CELL)
    assert ours.take(CELL)


def test_the_claims_of_a_dead_run_all_go_when_one_is_wanted(ours: Claims) -> None:
    theirs = other(ours.folder, pid=dead())
    theirs.take(CELL)
    theirs.take("another")
    assert ours.take(CELL)
    assert {p.name for p in ours.folder.iterdir()} == {f".{CELL}.claim", f".{ours.run}.lease"}


def test_a_run_removes_the_claims_of_dead_ones_when_it_begins(tmp_path: Path) -> None:
    other(tmp_path, pid=dead()).take(CELL)
    with claims.of_this_run(tmp_path):
        assert not list(tmp_path.glob("*.claim"))


def test_nothing_is_left_of_a_run_that_breaks(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claims.of_this_run(tmp_path) as run:
        run.take(CELL)
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_run_on_another_machine_lives_while_its_lease_is_touched(ours: Claims) -> None:
    theirs = other(ours.folder, host="elsewhere")
    theirs.take(CELL)
    assert not ours.take(CELL)
    long_ago = time.time() - claims.SILENT - 1
    os.utime(ours.folder / f".{theirs.run}.lease", (long_ago, long_ago))
    assert ours.take(CELL)


def test_a_lease_is_touched_while_its_run_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    with claims.of_this_run(tmp_path) as run:
        run.take(CELL)
        claim = tmp_path / f".{CELL}.claim"
        os.utime(claim, (0, 0))
        deadline = time.monotonic() + 10
        while claim.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert claim.stat().st_mtime > 0


def test_only_one_run_removes_the_claims_of_a_dead_one(ours: Claims) -> None:
    theirs, third = other(ours.folder, pid=dead()), other(ours.folder, run="run-third-3")
    theirs.take(CELL)
    lease = ours.folder / f".{theirs.run}.lease"
    lease.rename(lease.with_name(f".{theirs.run}+{third.run}.lease"))  # the third has begun
    assert not ours.take(CELL)


def test_a_run_that_died_while_it_removed_claims_stops_nobody(ours: Claims) -> None:
    theirs = other(ours.folder, pid=dead())
    theirs.take(CELL)
    lease = ours.folder / f".{theirs.run}.lease"
    lease.rename(lease.with_name(f".{theirs.run}+run-gone-4.lease"))
    assert ours.take(CELL)


@pytest.mark.parametrize("content", ["", "[1", "{}", '{"run": "../x", "host": "a", "pid": 1, "since": 0}'])
def test_a_damaged_claim_stops_nobody(ours: Claims, content: str) -> None:
    (ours.folder / f".{CELL}.claim").write_text(content)
    assert ours.take(CELL)


def test_a_claim_that_is_no_file_stops_nobody(ours: Claims) -> None:
    os.mkfifo(ours.folder / f".{CELL}.claim")
    assert ours.take(CELL)
    (ours.folder / ".another.claim").mkdir()
    assert ours.take("another")


def test_every_cell_is_free_where_no_claim_can_be_made(tmp_path: Path) -> None:
    gone = Claims(tmp_path / "absent", "run-other-1")
    assert gone.take(CELL)
    assert gone.take(CELL)


# Four processes


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(start: Start) -> Start:
    """Starts ``bench run`` on 24 cells in 12 passes, in one folder."""
    grid = ["--plugin", PLUGINS, "--datasets", "tiny", "--methods", "counts", "--bits", "8,16"]
    return partial(start, "run", *grid, "--seeds", "12", "--no-contract")


def cells(text: str) -> str:
    """How many cells a run says it has: ``24 ok``."""
    found = re.search(r"cells \((.*?)\) in", text)
    return found[1] if found else text


def computed(folder: Path, what: str = "ended") -> Counter[str]:
    path = folder / "counts"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(cell for said, cell in map(str.split, lines) if said == what)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_four_runs_compute_every_cell_once_and_all_show_all(tmp_path: Path, run: Start, jobs: str) -> None:
    running = [run("--jobs", jobs) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [cells(out) for out, _ in outputs] == ["24 ok"] * 4, outputs
    assert set(computed(tmp_path).values()) == {1}
    assert len(computed(tmp_path)) == 24
    assert not list((tmp_path / "runs").glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_three_runs_finish_the_cells_of_a_fourth_that_is_killed(
    tmp_path: Path, run: Start, signal_: signal.Signals
) -> None:
    running = [run() for _ in range(4)]
    deadline = time.monotonic() + 60
    while len(computed(tmp_path, "begun")) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    running[0].send_signal(signal_)
    outputs = [process.communicate(timeout=120) for process in running[1:]]
    assert [cells(out) for out, _ in outputs] == ["24 ok"] * 3, outputs
    once = computed(tmp_path)
    assert len(once) == 24
    assert sum(once.values()) <= 26  # at most the pass of the killed one is computed twice
    run().communicate(timeout=60)
    assert computed(tmp_path) == once
    assert not list((tmp_path / "runs").glob(".*"))


@pytest.mark.slow
def test_runs_take_over_when_all_others_are_killed(tmp_path: Path, run: Start) -> None:
    running = [run("--jobs", "2") for _ in range(4)]
    deadline = time.monotonic() + 60
    while len(computed(tmp_path, "begun")) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in running[:3]:
        os.killpg(process.pid, signal.SIGKILL)
    out, err = running[3].communicate(timeout=120)
    assert cells(out) == "24 ok", err
    assert len(computed(tmp_path)) == 24


@pytest.mark.slow
def test_four_shards_divide_a_study_and_a_plain_run_shows_all(tmp_path: Path, run: Start) -> None:
    running = [run("--shard", f"{part}/4") for part in range(1, 5)]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [cells(out) for out, _ in outputs] == ["6 ok"] * 4, outputs
    assert set(computed(tmp_path).values()) == {1}
    out, _ = run().communicate(timeout=60)
    assert cells(out) == "24 ok"
    assert sum(computed(tmp_path).values()) == 24


# Shards


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    return {
        "methods": "halves,random_projection",
        "datasets": "tiny",
        "bits": "8,16",
        "seeds": 3,
        "plugin": PLUGINS,
        "results": str(tmp_path / "runs"),
    }


def parts_of(study: Study, count: int) -> list[list[str]]:
    planner = Planner()
    return [
        [cell.spec.key for cell in planner.cells(study.but(shard=f"{part}/{count}"))]
        for part in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_the_parts_of_a_study_have_every_cell_once(small: dict[str, Any], count: int) -> None:
    study = Study.make(None, **small)
    parts = parts_of(study, count)
    assert sorted(key for part in parts for key in part) == sorted(c.spec.key for c in Planner().cells(study))


def test_parts_differ_by_one_pass_at_most(small: dict[str, Any]) -> None:
    assert [len(part) for part in parts_of(Study.make(None, **small), 4)] == [4, 4, 2, 2]


def test_every_part_has_its_share_of_each_method(small: dict[str, Any]) -> None:
    planner, study = Planner(), Study.make(None, **small)
    for part in ("1/3", "2/3", "3/3"):
        count = Counter(cell.spec.method for cell in planner.cells(study.but(shard=part)))
        assert count == {"halves": 2, "random_projection": 2}


def test_a_part_runs_and_shows_its_cells_which_have_the_keys_of_the_study(small: dict[str, Any]) -> None:
    first = bench.run(**small, shard="1/2")
    everything = bench.run(**small)
    assert len(first.records) == 6
    assert {r.spec.key for r in first.records} < {r.spec.key for r in everything.records}


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "-1/2", "a/b", "1/2/3", " 1/2", "1/٢", "1.0/2"])
def test_a_part_that_cannot_be_is_refused(small: dict[str, Any], shard: str) -> None:
    with pytest.raises(ParameterError, match="expected I/N"):
        bench.run(**small, shard=shard)


def test_more_parts_than_passes_are_refused(small: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="Use at most 6 parts"):
        bench.run(**small, shard="1/7")


def test_a_pass_is_never_divided(small: dict[str, Any]) -> None:
    cells = Planner().cells(Study.make(None, **small))
    keys = {cell.spec.key for cell in passes.shard(cells, "2/6")}
    assert sum(bool(keys & {cell.spec.key for cell in group}) for group in passes.of(cells)) == 1
