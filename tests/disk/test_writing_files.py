"""Files and folders are written completely or not at all, and what dead processes left is removed."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.disk import owners, writing
from bench.storing import traces

WAITS = """
import sys, time
from functools import partial
from pathlib import Path
from bench.disk import writing

def write(path):
    path.write_text("half") if sys.argv[2] == "file" else (path / "a").write_text("half")
    print("writing", flush=True)
    time.sleep(60)

replace = writing.replace if sys.argv[2] == "file" else partial(writing.replace_folder, found=None)
replace(Path(sys.argv[1]), write)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def unswept() -> None:
    owners.sweep.cache_clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that decide what a power cut leaves, in order, with the kind of file."""
    return record_calls(monkeypatch)


def record_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    opened: dict[int, str] = {}
    real = SimpleNamespace(open=os.open, fsync=os.fsync, replace=os.replace, rename=os.rename)

    def open_(path: str | Path, *args: int, **more: int) -> int:
        descriptor: int = real.open(path, *args, **more)
        opened[descriptor] = Path(path).name
        return descriptor

    def fsync(descriptor: int) -> None:
        made.append(f"fsync {'temporary' if opened[descriptor].startswith('.tmp-') else opened[descriptor]}")
        real.fsync(descriptor)

    def renaming(rename: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def renamed(source: Path, target: Path) -> None:
            made.append(f"rename to {Path(target).name}")
            rename(source, target)

        return renamed

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renaming(real.replace))
    monkeypatch.setattr(os, "rename", renaming(real.rename))
    return made


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path: Path, calls: list[str]) -> None:
    writing.replace_bytes(tmp_path / "a.json", b"new")
    assert calls == ["fsync temporary", "rename to a.json", f"fsync {tmp_path.name}"]


def test_a_folder_reaches_the_disk_before_its_name_does(tmp_path: Path, calls: list[str]) -> None:
    writing.replace_folder(tmp_path / "a", lambda folder: (folder / "x").write_text("new"), found=None)
    assert calls == ["fsync x", "fsync temporary", "rename to a", f"fsync {tmp_path.name}"]


def test_a_file_that_need_not_last_is_not_flushed(tmp_path: Path, calls: list[str]) -> None:
    writing.replace_bytes(tmp_path / "a", b"new", lasting=False)
    assert calls == ["rename to a"]


def test_flushing_can_be_left_out(tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_FSYNC", "0")
    writing.replace_bytes(tmp_path / "a", b"new")
    assert calls == ["rename to a"]


def test_a_file_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    writing.replace_bytes(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "new"


def test_a_folder_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    found = writing.number(tmp_path / "a")
    writing.replace_folder(tmp_path / "a", lambda folder: (folder / "new").touch(), found=found)
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["new"]


@pytest.mark.parametrize("replace", [writing.replace, partial(writing.replace_folder, found=None)])
def test_an_error_while_writing_keeps_the_old_content(
    tmp_path: Path, replace: Callable[[Path, Callable[[Path], None]], None]
) -> None:
    writing.replace_bytes(tmp_path / "a", b"old")

    def write(path: Path) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        replace(tmp_path / "a", write)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_writer_removes_what_a_killed_one_left_and_not_what_a_live_one_writes(
    tmp_path: Path, kind: str
) -> None:
    command = [sys.executable, "-c", WAITS, str(tmp_path / "a"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        writing.replace_bytes(tmp_path / "b", b"")
        assert len(names(tmp_path)) == 2, "the other one still writes"
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    owners.sweep.cache_clear()
    writing.replace_bytes(tmp_path / "b", b"")
    assert names(tmp_path) == ["b"]


def test_files_of_other_machines_and_of_other_programs_stay(tmp_path: Path) -> None:
    for name in (".tmp-elsewhere-1-1-01234567", ".tmp", ".tmp-x", ".tmp-a-b-c-01234567.json"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    owners.sweep(tmp_path)
    assert names(tmp_path) == before


def test_a_later_process_of_the_same_number_owns_nothing() -> None:
    assert owners.alive(platform.node(), os.getpid(), time.time()) is True
    assert owners.alive(platform.node(), os.getpid(), 0.0) is False


@pytest.mark.parametrize("pid", [-1, 0x7FFFFFFF, 1 << 80])
def test_an_impossible_process_is_dead(pid: int) -> None:
    assert owners.alive(platform.node(), pid, time.time()) is False


def test_nobody_knows_of_processes_on_another_machine() -> None:
    assert owners.alive("elsewhere", os.getpid(), time.time()) is None


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system has no /dev/shm")
def test_a_sweep_removes_the_shared_memory_of_a_killed_one_and_of_nobody_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as killed:
        killed.kill()
    traces.Trace(kind="sweep", pid=killed.pid).write(tmp_path)
    traces.Trace(kind="sweep").write(tmp_path)
    folders, semaphores = (
        [Path("/dev/shm", name.format(pid)) for pid in (killed.pid, os.getpid())]
        for name in ("joblib_memmapping_folder_{}_test", "sem.loky-{}-test")
    )
    try:
        for folder, semaphore in zip(folders, semaphores, strict=True):
            folder.mkdir()
            semaphore.touch()
        with traces.Sweep(tmp_path, total=1, jobs=2):
            assert [path.exists() for path in (*folders, *semaphores)] == [False, True, False, True]
    finally:
        for path in (*folders, *semaphores):
            owners.remove(path)


def test_a_folder_that_another_process_has_put_there_meanwhile_stays(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "ours").touch()
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "theirs").touch()

    writing.replace_folder(tmp_path / "made", fill, found=None)
    assert [p.name for p in tmp_path.rglob("*")] == ["made", "theirs"]
