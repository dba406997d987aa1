"""The traces that a sweep leaves while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records import RunRecord, RunSpec, Schedule
from bench.storing import traces


def spec(bits: int = 8) -> RunSpec:
    return RunSpec(method="halves", dataset="tiny", bits=bits, schedule=Schedule("shuffled", 20))


def test_a_sweep_counts_what_it_finished_and_failed(tmp_path: Path) -> None:
    with traces.Sweep(tmp_path, total=3, jobs=2) as sweep:
        sweep.finished(RunRecord(spec=spec(), status="ok"))
        sweep.finished(RunRecord(spec=spec(16), status="failed"))
        (trace,) = traces.read(tmp_path)
    assert (trace.total, trace.finished, trace.failed, trace.jobs) == (3, 2, 1, 2)
    assert trace.alive


def test_nothing_is_left_when_a_sweep_ends_or_breaks(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), traces.Sweep(tmp_path, total=1, jobs=1):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_worker_names_the_cells_it_computes(tmp_path: Path) -> None:
    specs = [spec(8), spec(16)]
    with traces.running(tmp_path, specs):
        (trace,) = traces.read(tmp_path)
    assert trace.cells == {s.key: str(s) for s in specs}
    assert not list(tmp_path.iterdir())


def test_a_worker_says_how_far_its_pass_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_PAUSE", 0.0)
    with traces.running(tmp_path, [spec()]) as reached:
        reached(0.25)
        assert [trace.share for trace in traces.read(tmp_path)] == [0.25]


def test_a_sweep_sees_the_passes_of_its_cells_in_other_processes(tmp_path: Path) -> None:
    for pid, key in ((os.getpid(), "mine"), (os.getppid(), "mine"), (os.getppid(), "other")):
        traces.Trace(kind="cells", pid=pid, name=f"-{key}", cells={key: "text"}).write(tmp_path)
    with traces.Sweep(tmp_path, total=1, jobs=2) as sweep:
        assert [one.pid for one in sweep.under_way({"mine"})] == [os.getppid()]


def test_the_trace_of_a_killed_process_does_not_count_and_the_next_sweep_removes_it(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    traces.Trace(kind="sweep", pid=process.pid, total=9).write(tmp_path)
    assert traces.read(tmp_path)[0].alive is False
    with traces.Sweep(tmp_path, total=1, jobs=1):
        assert [trace.total for trace in traces.read(tmp_path)] == [1]


def test_a_later_process_with_the_same_number_is_not_the_writer(tmp_path: Path) -> None:
    assert traces.Trace(kind="sweep", since=1.0).alive is False


def test_a_process_that_has_ended_and_that_nobody_waits_for_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert traces.Trace(kind="sweep", pid=process.pid).alive is False
    process.wait()


def test_nobody_can_tell_whether_a_process_of_another_machine_lives(tmp_path: Path) -> None:
    assert traces.Trace(kind="sweep", host="elsewhere").alive is None


def test_a_folder_that_cannot_be_written_to_stops_no_cell(tmp_path: Path) -> None:
    with traces.running(tmp_path / "absent", [spec()]):
        pass
    assert not (tmp_path / "absent").exists()


def test_a_file_that_is_no_trace_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".odd.trace").write_text("[1")
    assert traces.read(tmp_path) == []
