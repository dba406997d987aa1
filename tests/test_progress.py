"""Progress on standard error: one line that is rewritten at a terminal, and few lines elsewhere."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench
from bench import progress
from bench.progress import VERBOSE, Task, detail, passes, say
from bench.running import watching
from bench.storing.traces import Trace

PLUGINS = ",".join(str(Path(__file__).with_name("plugins") / f"{name}.py") for name in ("dies", "tiny"))
ERASE = "\r\x1b[K"


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error that is no terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    return stream


def test_passes_count_like_range_and_show_where_they_are(screen: io.StringIO) -> None:
    with Task("lcdh on wiki", 6, each="round") as task:
        task.advance()
        assert list(passes("teacher", 2)) == [0, 1]
    assert screen.getvalue().split(ERASE)[2:5] == [
        "lcdh on wiki: round 2 of 6",
        *(f"lcdh on wiki: round 2 of 6, teacher: epoch {i} of 2" for i in (1, 2)),
    ]


def test_the_line_is_erased_at_the_end(screen: io.StringIO) -> None:
    list(passes("teacher", 2))
    assert screen.getvalue().endswith(ERASE)


def test_a_line_is_never_wider_than_the_terminal(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with Task("a very long cell", 5, each="round"):
        assert screen.getvalue() == f"{ERASE}…cell: round 1 of 5"


def test_many_short_passes_write_at_most_ten_lines_a_second(
    screen: io.StringIO, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.1)
    for _ in passes("student", 1000):
        clock.now += 0.001
    assert 9 <= screen.getvalue().count("epoch") <= 11


def test_a_finished_step_is_a_line_that_stays(screen: io.StringIO, clock: Clock) -> None:
    with Task("", 12, each="cell") as task:
        clock.now += 2
        task.finish("lcdh: mAP 0.7")
    assert f"{ERASE}[ 1/12] lcdh: mAP 0.7  (22 s left)\n" in screen.getvalue()


def test_steps_that_end_together_give_one_estimate(screen: io.StringIO, clock: Clock) -> None:
    with Task("", 40, each="cell") as task:
        clock.now += 60
        task.finish("16 bits", "32 bits", "64 bits", "128 bits")
    lines = [line for line in screen.getvalue().split(ERASE) if line.startswith("[")]
    assert lines[0] == "[ 1/40] 16 bits\n" and lines[3] == "[ 4/40] 128 bits  (9 min left)\n"


def test_the_time_left_counts_what_is_partly_done(clock: Clock) -> None:
    with Task("", 24, each="cell") as task:
        clock.now += 60
        task.done, task.partly = 4, 2.0
        assert task.left == 180


def test_the_last_line_has_no_time_left(screen: io.StringIO, clock: Clock) -> None:
    with Task("", 2, each="cell") as task:
        clock.now += 60
        task.finish("a", "b")
    assert screen.getvalue().count("left") == 0


def test_a_task_reports_the_share_of_its_steps() -> None:
    shares: list[float] = []
    Task("", 4, each="round", moved=shares.append).reach(3)
    assert shares == [0.75]


def test_the_line_for_all_workers_counts_cells_and_names_methods(clock: Clock) -> None:
    cells = {"a": "lemon on wiki, 16 bits", "b": "lemon on wiki, 32 bits"}
    under_way = [
        Trace(kind="cells", cells=cells, share=0.5),
        Trace(kind="cells", cells={"c": "lcdh on wiki"}),
    ]
    task = Task("", 8, each="cell")
    task.done, task.partly = 1, watching.partly(under_way)
    clock.now += 60
    assert watching.line(task, under_way) == "1 of 8 cells done, 3 under way (lcdh, lemon: 33%), 3 min left"


def test_details_are_printed_where_they_are_wanted(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    detail("a round")
    monkeypatch.setenv(VERBOSE, "1")
    detail("another round")
    assert log.getvalue() == "another round\n"


def test_what_broke_off_is_shown_no_more(screen: io.StringIO) -> None:
    epochs = passes("teacher", 9)
    with Task("one cell"):
        next(epochs)
    with Task("another cell"):
        pass
    assert screen.getvalue().split(ERASE)[-2] == "another cell"


def test_a_count_says_how_fast_it_is_and_how_long_it_takes(log: io.StringIO, clock: Clock) -> None:
    task = Task("clip", 300, "images")
    task.skip(100)
    clock.now += 10
    task.advance(50)
    assert str(task) == "clip: 150 of 300 images, 5 images/s, 30 s left"


def test_without_a_terminal_a_count_is_a_line_in_thirty_seconds_and_one_at_the_end(
    log: io.StringIO, clock: Clock
) -> None:
    with Task("get x.zip", 8_000_000, "bytes") as task:
        for _ in range(8):
            clock.now += 10
            task.advance(1_000_000)
    assert [line.partition(",")[0] for line in log.getvalue().splitlines()] == [
        *(f"get x.zip: {i}.00 MB of 8.00 MB" for i in (3, 6)),
        "get x.zip: 8.00 MB of 8.00 MB",
    ]


def test_without_a_terminal_a_count_that_fails_leaves_no_line(log: io.StringIO) -> None:
    with pytest.raises(OSError, match="cut"), Task("get x.zip", 8, "bytes"):
        raise OSError("cut")
    assert log.getvalue() == ""


def test_without_a_terminal_steps_and_epochs_print_nothing(log: io.StringIO, clock: Clock) -> None:
    with Task("a cell", 3, each="round") as task:
        for _ in passes("student", 3):
            clock.now += 60
            task.advance()
    assert log.getvalue() == ""


def test_lines_that_stay_are_printed_without_a_terminal_too(log: io.StringIO) -> None:
    say("Main results: 3 of 4 cells are run first")
    assert log.getvalue() == "Main results: 3 of 4 cells are run first\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_bench_run_says_on_a_terminal_which_epoch_of_which_stage(tmp_path: Path) -> None:
    master, slave = os.openpty()
    method = f"dies[witness={tmp_path}/w,pause=0.15]"
    options = f"--plugin {PLUGINS} --datasets tiny --methods {method} --bits 8 --seeds 1 --no-contract"
    with subprocess.Popen(
        [sys.executable, "-m", "bench.cli", "run", *options.split(), "--results", str(tmp_path / "runs")],
        stderr=slave,
        stdout=subprocess.PIPE,
        cwd=Path(bench.__file__).parents[1],
        env={**os.environ, "BENCH_CACHE": str(tmp_path / "cache")},
    ) as running:
        output, _ = running.communicate(timeout=120)
    os.close(slave)
    said = os.read(master, 1 << 16).decode()
    os.close(master)
    assert running.returncode == 0
    assert "round 1 of 3" in said and "round 3 of 3, training: epoch 2 of 3" in said
    assert "\r\x1b[K[1/1] dies" in said  # the cell's own line begins where the line was
    assert b"epoch" not in output and b"\x1b" not in output
