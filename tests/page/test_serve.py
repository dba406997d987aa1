"""The live page: what it says is so, it writes nothing, and it ends when told to."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cli.serve import _of_study
from bench.errors import BenchError, ParameterError
from bench.page import live
from bench.records import RunRecord, RunSpec, Schedule
from bench.storing import traces
from bench.storing.reading import read_record
from bench.storing.store import Store

HOSTILE = "<img src=x onerror='window.pwned=1'>"


def record(seed: int, status: Any = "ok", reason: str = "") -> RunRecord:
    schedule = Schedule.parse("shuffled:10")
    spec = RunSpec(method="cca", dataset="synthetic", bits=16, schedule=schedule, seed=seed)
    return RunRecord(spec=spec, status=status, reason=reason, code=bench.plugins.fingerprint.of_method("cca"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cells done, one failed, one of another study."""
    store = Store(tmp_path / "runs")
    store.check_writable()
    for seed in (0, 1):
        store.write(record(seed), {})
    store.write(record(2, "failed", f"round 1: boom {HOSTILE}"), {})
    return store.folder


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    with live.server(live.Watch(folder), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str, host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(live.HOST, port, timeout=60)
    connection.request("GET", path, headers={"Host": host or f"{live.HOST}:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_cells_are_counted_by_what_became_of_them(folder: Path) -> None:
    status = live.Watch(folder).status()
    assert status["counts"] == {"done": 2, "failed": 1}
    assert [f["reason"] for f in status["failed"]] == [f"round 1: boom {HOSTILE}"]


def test_of_a_study_its_own_cells_are_counted_and_what_is_missing(folder: Path) -> None:
    specs = [record(seed).spec for seed in (1, 2, 3, 4)]
    assert live.Watch(folder, specs).status()["counts"] == {"done": 1, "failed": 1, "missing": 2}


def test_a_record_of_changed_code_is_stale(folder: Path) -> None:
    Store(folder).write(replace(record(0), code="other"), {})
    assert live.Watch(folder).status()["counts"] == {"done": 1, "stale": 1, "failed": 1}


def test_what_changes_is_seen_and_what_does_not_is_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = live.Watch(folder)
    watch.status()
    read: list[Path] = []
    plain = read_record

    def counted(path: Path) -> Any:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(live, "read_record", counted)
    Store(folder).write(record(5), {})
    watch.status()
    assert len(read) == 1


def test_nothing_runs_without_a_living_process(folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    traces.Trace(kind="cells", pid=ended.pid, cells={"k": "a cell"}).write(folder)
    traces.Trace(kind="sweep", pid=ended.pid, total=4, finished=1).write(folder)
    status = live.Watch(folder).status()
    assert status["running"] == []
    assert [(s["alive"], s["left"]) for s in status["sweeps"]] == [(False, None)]


def test_a_running_sweep_tells_its_cells_and_the_time_left_at_its_pace(folder: Path) -> None:
    import psutil

    since = psutil.Process().create_time()
    with traces.Sweep(folder, total=4, jobs=1) as sweep, traces.running(folder, [record(3).spec]):
        sweep.trace.since = since
        sweep.finished(record(0))
        status = live.Watch(folder).status()
    assert [r["text"] for r in status["running"]] == [str(record(3).spec)]
    assert status["sweeps"][0]["left"] == pytest.approx(3 * (status["now"] - since), abs=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cells": "x"},
        {"since": "x"},
        {"since": float("nan")},
        {"pid": -1},
        {"pid": 10**30},
        {"kind": "other"},
    ],
)
def test_a_trace_of_another_form_is_passed_over(folder: Path, port: int, wrong: dict[str, Any]) -> None:
    for kind in ("cells", "sweep"):
        content = {"kind": kind, "pid": os.getpid(), "since": 1.0, **wrong}
        (folder / f".{kind}-bad.trace").write_text(json.dumps(content))
    code, text = get(port, "/status.json")
    status = json.loads(text)
    assert (code, status["running"], status["sweeps"]) == (200, [], [])


def test_a_silent_connection_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live._Handler, "timeout", 0.1)
    with socket.create_connection((live.HOST, port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert connection.recv(1) == b""


def test_a_browser_that_leaves_prints_nothing(
    port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def left(*_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(live._Handler, "_answer", left)
    with socket.create_connection((live.HOST, port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(1) == b""
    assert capfd.readouterr().err == ""


def test_serving_writes_nothing_into_the_folder(folder: Path, port: int) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert get(port, "/")[0] == 200
    assert json.loads(get(port, "/status.json")[1])["counts"] == {"done": 2, "failed": 1}
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/etc/passwd", "/status.json/.."])
def test_there_is_nothing_but_the_page(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_a_foreign_name_for_this_machine_is_refused(port: int) -> None:
    assert get(port, "/status.json", host="evil.example:80")[0] == 403


def test_a_port_that_is_taken_is_an_error_that_names_it(folder: Path, port: int) -> None:
    with pytest.raises(BenchError, match=f"port {port} of"):
        live.server(live.Watch(folder), port)


def test_the_browser_shows_it_as_text(visit: Callable[..., Any], port: int) -> None:
    address = f"http://{live.HOST}:{port}/"
    tab = visit(address, allowed=(address, "data:"), viewport={"width": 375, "height": 800})
    tab.wait_for_selector("#failed li")
    assert HOSTILE in tab.locator("#failed").inner_text()
    assert tab.locator("[data-count=done] dd").inner_text() == "2"
    assert tab.evaluate("window.pwned") is None
    assert tab.evaluate("document.documentElement.scrollWidth") == 375


def test_the_browser_sees_a_cell_that_is_stored_meanwhile(
    visit: Callable[..., Any], port: int, folder: Path
) -> None:
    address = f"http://{live.HOST}:{port}/"
    tab = visit(address, allowed=(address, "data:"))
    tab.wait_for_selector("#latest tr")
    Store(folder).write(record(9), {})
    tab.locator("[data-count=done] dd", has_text="3").wait_for()


SERVE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a script started the tests with &
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from bench.cli import main
sys.exit(main(["serve", "--results", sys.argv[1], "--port", "0"]))
"""


def test_control_c_ends_it_cleanly(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            assert "Ctrl-C ends it" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")


def test_a_study_file_that_has_not_been_started_misses_all_its_cells(tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    study.write_text('methods = "cca"\ndatasets = "synthetic"\nbits = [8, 16]\nseeds = 3\n')
    args = argparse.Namespace(study=str(study), results=str(tmp_path / "absent"))
    status = _of_study(args).status()
    assert (status["study"], status["counts"]) == (6, {"missing": 6})
    assert not (tmp_path / "absent").exists()


def test_sections_with_folders_of_their_own_are_an_error_that_tells_the_way_out(tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    sections = [f'[[section]]\ntitle = "{name}"\nresults = "{name}"\n' for name in "ab"]
    study.write_text("".join(sections))
    with pytest.raises(ParameterError, match=r"2 results folders, .*: a, b"):
        _of_study(argparse.Namespace(study=str(study), results=""))
