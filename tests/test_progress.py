"""The line that says what a long cell is doing: on a terminal only, one line, not too often."""

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
from bench.progress import PROGRESS, passes

PLUGINS = ",".join(str(Path(__file__).with_name("plugins") / f"{name}.py") for name in ("dies", "tiny"))


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    found = Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=found))  # pytest has taken sys.stderr itself
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    return found


def test_passes_count_like_range_and_say_where_they_are(screen: Screen) -> None:
    with progress.shown() as line:
        line.at("lcdh, round 2 of 6")
        assert list(passes("teacher", 2)) == [0, 1]
    lines = screen.getvalue().split("\r\x1b[K")
    assert lines == [
        "",
        "lcdh, round 2 of 6",
        *(f"lcdh, round 2 of 6, teacher: epoch {i} of 2" for i in (1, 2)),
        "",
    ]


def test_a_line_is_never_wider_than_the_terminal(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with progress.shown() as line:
        line.at("a very long cell, round 3 of 5")
    assert screen.getvalue().split("\r\x1b[K")[1] == "…cell, round 3 of 5"


def test_many_short_passes_write_few_lines(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 60.0)
    with progress.shown():
        list(passes("student", 1000))
    assert screen.getvalue().count("epoch") == 1


def test_without_a_terminal_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown() as line:
        line.at("somewhere")
        list(passes("student", 3))
    progress.erase()
    assert capsys.readouterr() == ("", "")


def test_logging_is_as_it_was_afterwards(screen: Screen) -> None:
    before = PROGRESS.level, PROGRESS.propagate, list(PROGRESS.handlers)
    with progress.shown():
        pass
    assert (PROGRESS.level, PROGRESS.propagate, list(PROGRESS.handlers)) == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_bench_run_says_on_a_terminal_which_epoch_of_which_stage(tmp_path: Path) -> None:
    master, slave = os.openpty()
    method = f"dies[witness={tmp_path}/w,pause=0.15]"
    options = f"--plugin {PLUGINS} --datasets tiny --methods {method} --bits 8 --seeds 1"
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
