"""Ctrl-C and SIGTERM end every command with an exit code and one line, at any moment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main, stopping

ROOT = Path(__file__).parents[1]
PLUGINS = ",".join(
    str(ROOT / "tests" / "plugins" / name) for name in ("counts.py", "slow.py", "tiny.py", "toy.py")
)
RUN = ["run", "--plugin", PLUGINS, "--datasets", "tiny", "--methods", "slow", "--bits", "8", "--seeds", "4"]
RUN += ["--no-contract"]
TUNE = ["tune", "counts", *RUN[1:5], "--val", "10", "--space", "pause=50..99", "--no-contract"]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods wait for ever."""
    monkeypatch.setenv("HELD", "1")


def handles(number: signal.Signals, pid: int) -> bool:
    """Whether a process has a handler for a signal; Python has one for SIGINT from its start on."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert caught is not None
    return bool(int(caught[1], 16) >> (number - 1) & 1)


def wait_for(pattern: str, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"no {pattern} in {folder}"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", CODES)
def test_a_stopped_run_ends_its_workers_and_leaves_nothing(
    start: Start, tmp_path: Path, number: signal.Signals, jobs: str
) -> None:
    import psutil

    running = start(*RUN, "--jobs", jobs)
    wait_for(".cells-*.trace", tmp_path / "runs")
    workers = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(number)
    _, err = running.communicate(timeout=30)
    assert running.returncode == CODES[number]
    assert err.strip() == f"bench: {stopping.HOW[number]}. Finished cells are kept; run it again to continue."
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not [
        p.name for p in (tmp_path / "runs").iterdir() if not p.name.startswith((".cells-", "run.log"))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["serve", "--port", "0"], TUNE])
def test_sigterm_ends_other_commands_alike(start: Start, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "runs").mkdir()
    running = start(*command)
    if command[0] == "serve":
        assert running.stdout is not None
        running.stdout.readline()
    else:
        wait_for(".cells-*.trace", tmp_path / "runs")
    running.terminate()
    _, err = running.communicate(timeout=30)
    assert running.returncode == 143
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads which signals a process handles from /proc")
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", [["list", "methods"], ["data", "prepare", "toy", "--plugin", PLUGINS]])
def test_a_signal_while_bench_starts_shows_one_line(
    start: Start, command: list[str], number: signal.Signals
) -> None:
    for wait in range(0, 120, 12):
        running = start(*command)
        while not handles(signal.SIGTERM, running.pid):  # before, Python itself starts
            assert running.poll() is None
        time.sleep(wait / 1000)
        running.send_signal(number)
        _, err = running.communicate(timeout=30)
        assert len(err.splitlines()) <= 1, (wait, err)
        assert running.returncode in (0, CODES[number]), (wait, err)


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_while_workers_start_shows_one_line(start: Start) -> None:
    import psutil

    for wait in range(0, 400, 100):
        running = start(*RUN, "--jobs", "2")
        while not any("loky" in " ".join(c.cmdline()) for c in psutil.Process(running.pid).children()):
            assert running.poll() is None
        time.sleep(wait / 1000)
        os.killpg(running.pid, signal.SIGINT)
        _, err = running.communicate(timeout=30)
        assert len(err.splitlines()) == 1, (wait, err)
        assert running.returncode == 130, (wait, err)


def test_an_interrupt_that_a_library_hides_is_still_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hide(*_: object) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("numpy failed to import") from None
        return 0

    monkeypatch.setattr("bench.cli._execute", hide)
    assert main([]) == 143
    assert capsys.readouterr().err.startswith("bench: terminated.")


def test_an_interrupt_inside_exec_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "inside.py").write_text(
        "import signal, sys, bench.cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # tests in the background ignore it
        "bench.cli._execute = lambda _: exec('import signal; signal.raise_signal(2)')\n"
        "sys.exit(bench.cli.main())\n"
    )
    path = os.pathsep.join(map(str, [tmp_path, ROOT]))
    done = subprocess.run(
        [sys.executable, "-m", "inside"], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 130


def test_an_error_without_a_signal_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> int:
        raise ImportError("numpy failed to import")

    monkeypatch.setattr("bench.cli._execute", breaks)
    with pytest.raises(ImportError):
        main([])


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as for a command in the background
    arrived: list[int] = []
    try:
        with stopping.handled(arrived, to_the_end=False):
            signal.raise_signal(signal.SIGTERM)
        assert not arrived
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with stopping.handled([], to_the_end=False):
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before
