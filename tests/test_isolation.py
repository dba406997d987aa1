"""Methods run in a process of their own: the codes are the same, and a death there ends no other cell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import bench
from bench.checks.suite import checks_for
from bench.errors import BenchError, ParameterError
from bench.isolation.nursery import nursery
from bench.isolation.process import MODULES
from bench.plugins import fingerprint, registry
from bench.running import checked
from bench.running.hosts import Isolation
from bench.storing.store import Store

PLUGINS = Path(__file__).with_name("plugins")
NAMES = [entry.name for entry in registry.listings("method") if entry.origin == "built-in"]


def codes(folder: Path, results: bench.Results) -> Iterator[tuple[str, Any]]:
    for record in results.records:
        assert record.status == "ok", record.traceback
        for name, array in Store(folder).arrays(record).items():
            yield f"{record.spec} {name}", array


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_the_same_in_the_process_of_the_harness_bit_for_bit(
    name: str,
    quick: Callable[[str], dict[str, Any]],
    feeds: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.isolation.arena._LEAST", 1)  # bytes: all arrays go through shared memory
    settings = ",".join(f"{key}={value}" for key, value in quick(name).items())
    learns = registry.get("method", name).capabilities.learned_codes
    kept = []
    for in_process in (True, False):
        folder = tmp_path / str(in_process)
        results = bench.run(
            methods=f"{name}[{settings}]" if settings else name,
            datasets=feeds(name),
            bits="8,16",
            seeds=1,
            schedule="shuffled:80",
            database="reindexed,learned" if learns else "frozen",
            evaluate="all",
            results=str(folder),
            isolation=Isolation(in_process=in_process),
        )
        kept.append(dict(codes(folder, results)))
    here, apart = kept
    assert here.keys() == apart.keys()
    for what, array in here.items():
        np.testing.assert_array_equal(array, apart[what], err_msg=what)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `poison` with some deeds in one pass; the records by deed."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})

    def run(deeds: str, **limits: Any) -> dict[str, Any]:
        results = bench.run(
            methods=f"poison[deed={deeds}]",
            datasets="tiny",
            bits="8",
            seeds=1,
            plugin=[str(PLUGINS / "poison.py"), str(PLUGINS / "tiny.py")],
            results=str(tmp_path / "runs"),
            isolation=Isolation(**limits),
        )
        return {record.spec.params.get("deed", "nothing"): record for record in results.records}

    return run


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("sys.exit", "round 1: SystemExit: 0"),
        ("os._exit", "round 1: the process ended itself with exit code 3"),
        ("segfault", "round 1: the process ended with SIGSEGV"),
        ("kill", "round 1: the process was killed by SIGKILL; the system may have run out of memory"),
        ("interrupt", "round 1: KeyboardInterrupt"),
        ("generator", "round 1: GeneratorExit"),
        ("mute", "round 1: MuteError: its message cannot be read"),
        ("newline", "round 1: ValueError: second line"),
        ("empty", "round 1: ValueError"),
    ],
)
def test_a_method_that_breaks_off_is_a_failed_cell_and_ends_no_other(
    run: Run, deed: str, reason: str
) -> None:
    records = run(f"nothing,{deed},print")
    assert {deed: record.status for deed, record in records.items()} == {
        "nothing": "ok",
        deed: "failed",
        "print": "ok",
    }
    assert records[deed].reason == reason


def test_a_cell_that_hangs_fails_after_its_time(run: Run) -> None:
    records = run("nothing,loop", timeout=1.0)
    assert records["loop"].reason == "round 1: took longer than --timeout 1 s"
    assert records["nothing"].status == "ok"


def test_a_cell_that_takes_too_much_memory_fails(run: Run) -> None:
    records = run("nothing,hog", memory=1.0)
    assert records["hog"].reason.startswith("round 1: used 1.")
    assert records["hog"].reason.endswith(" GB, more than --memory 1 GB")
    assert records["nothing"].status == "ok"


def test_bytes_that_are_no_answer_fail_the_cell(run: Run) -> None:
    records = run("nothing,garbage", timeout=20.0)
    assert records["garbage"].reason.startswith("round 1: the process sent no proper answer")
    assert records["nothing"].status == "ok"


@pytest.mark.parametrize("deed", ["patch", "labels"])
def test_a_method_that_patches_metrics_or_labels_changes_no_score(run: Run, deed: str) -> None:
    records = run(f"nothing,{deed}")
    assert records[deed].rounds[-1].metrics == records["nothing"].rounds[-1].metrics


@pytest.mark.parametrize("deed", ["patch", "labels"])
def test_in_process_it_would(run: Run, deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("nothing", in_process=True)  # imports all that will be patched
    for name, module in list(sys.modules.items()):
        if name.startswith("bench.") and hasattr(module, "means"):
            monkeypatch.setattr(module, "means", module.means)  # is restored
    metric = run(f"nothing,{deed}", in_process=True)[deed].rounds[-1].metrics["map/i2t"]
    assert metric >= 0.999


def test_a_plugin_file_that_patches_metrics_when_it_is_imported_changes_no_score(
    run: Run, tmp_path: Path
) -> None:
    honest = run("nothing")["nothing"]
    file = tmp_path / "patches.py"
    file.write_text(f"{(PLUGINS / 'poison.py').read_text()}\n\ndo('patch')\n")
    options: dict[str, Any] = {
        "datasets": "tiny",
        "bits": "8",
        "seeds": 1,
        "results": str(tmp_path / "other"),
    }
    [record] = bench.run(methods="patches", plugin=[str(file)], **options).records
    assert record.rounds[-1].metrics == honest.rounds[-1].metrics
    assert "bench_plugin_patches" not in sys.modules


def test_a_module_that_cannot_be_imported_beforehand_stops_no_child(run: Run) -> None:
    nursery(MODULES).load("bench.methods.missing")
    assert run("nothing")["nothing"].status == "ok"


def test_what_a_method_prints_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("print")
    assert capsys.readouterr().out == "said by the method\n" * 2


def test_a_warning_of_a_method_meets_the_filters_of_the_caller(run: Run) -> None:
    assert run("warn")["warn"].reason == "round 1: RuntimeWarning: mind the gap"


@pytest.mark.parametrize("limit", ["timeout", "memory"])
def test_limits_need_a_process_to_end(limit: str) -> None:
    with pytest.raises(ParameterError, match=f"{limit} limits cells in processes of their own"):
        Isolation(in_process=True, **{limit: 1.0})


def test_the_record_says_that_a_cell_ran_in_process(run: Run) -> None:
    assert run("nothing", in_process=True)["nothing"].environment["in_process"] is True


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_after_a_kill_of_the_main_process_nothing_lives_on(jobs: str, tmp_path: Path) -> None:
    plugins = ",".join(str(PLUGINS / f"{name}.py") for name in ("slow", "tiny"))
    study = f"--plugin {plugins} --datasets tiny --methods slow --bits 8 --seeds 4 --jobs {jobs}"
    mark = str(tmp_path / "mark")
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bench.cli",
            "run",
            *study.split(),
            "--no-contract",
            "--results",
            str(tmp_path / "runs"),
        ],
        cwd=Path(bench.__file__).parents[1],
        env={**os.environ, "HELD": mark, "BENCH_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.DEVNULL,
    ) as running:
        deadline = time.monotonic() + 60
        while len(held_by(mark)) < {"1": 3, "2": 8}[jobs]:  # children included
            assert time.monotonic() < deadline, held_by(mark)
            time.sleep(0.1)
        running.kill()
    deadline = time.monotonic() + 5
    while left := held_by(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def held_by(mark: str) -> list[str]:
    """The commands of processes with HELD=mark in their environment."""
    commands = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("HELD") == mark and process.status() != psutil.STATUS_ZOMBIE:
                commands.append(" ".join(process.cmdline())[:200])
    return commands


def test_a_method_that_is_edited_during_a_run_stops_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child would run the new code, and the record would name the old."""
    run("nothing")
    monkeypatch.setattr(fingerprint, "_stamp", lambda path: (1, 1))
    with pytest.raises(BenchError, match="its files have changed since this run began"):
        run("print")


def test_a_check_that_ends_its_process_has_failed_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(PLUGINS / "poison.py")
    results, complete = checked.check(registry.get("method", "poison"), {"deed": "os._exit"})
    failed = {result.message for result in results if "ended itself with exit code 3" in result.message}
    assert failed == {"the process ended itself with exit code 3"}
    assert len(results) == len(checks_for(registry.get("method", "poison"))) and not complete
