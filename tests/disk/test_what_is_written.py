"""Every kind of file reaches the disk before its name does: the calls of each, in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bench
from bench.contract import state
from bench.contract.shared import Shared
from bench.data import bundle, cache
from bench.data.views import files
from bench.plugins import registry
from bench.records import RunRecord, RunSpec, Schedule
from bench.reporting import writing
from bench.storing.checkpoint import Checkpoints
from bench.storing.store import Store

SOURCE = {"n": 60, "queries": 10}


class Cell:
    """A cell that can be saved."""

    failure = None

    def save(self) -> Any:
        return {"n": 1}

    def resume(self, saved: Any) -> None:
        raise NotImplementedError


def record(folder: Path) -> None:
    spec = RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 10), seed=0)
    Store(folder).write(RunRecord(spec=spec, status="ok"), {"a": np.zeros(3)})


def checkpoint(folder: Path) -> None:
    kept = Checkpoints([folder / "cell.partial"], {})
    kept._wait = 0.0
    kept.offer([Cell()])


def dataset(folder: Path) -> None:
    cache.prepare("synthetic", registry.get("dataset", "synthetic")(**SOURCE), SOURCE, folder)


def items(folder: Path) -> None:
    kept = files.Items(
        ids=np.arange(3),
        labels=np.eye(3, dtype=np.uint8),
        train=2,
        classes=(),
        notes=(),
        rows={},
        files={},
        code="",
    )
    files.write_items(folder / "items", kept)


def exported(folder: Path) -> None:
    bundle.write(registry.get("dataset", "synthetic")(**SOURCE).load(folder), folder / "a.npz", "npz")


KINDS: dict[str, Callable[[Path], object]] = {
    "a record and its arrays": record,
    "a checkpoint": checkpoint,
    "a kept teacher": lambda folder: Shared(folder).kept("key", lambda: 1),
    "saved state": lambda folder: state.save(folder / "a.npz", [1]),
    "a cached dataset": dataset,
    "prepared items": items,
    "an exported dataset": exported,
    "a table": lambda folder: writing.text(folder / "a.csv", "1"),
    "a drawn file": lambda folder: writing.atomically(folder / "a.pdf", lambda path: path.write_bytes(b"1")),
}


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Every flush and rename, with the path at that time."""
    calls: list[tuple[str, Path]] = []
    opened: dict[int, Path] = {}
    real = SimpleNamespace(open=os.open, fsync=os.fsync, replace=os.replace, rename=os.rename)

    def open_(path: Any, *args: Any, **more: Any) -> int:
        descriptor: int = real.open(path, *args, **more)
        opened[descriptor] = Path(path)
        return descriptor

    def fsync(descriptor: int) -> None:
        calls.append(("flush", opened[descriptor]))
        real.fsync(descriptor)

    def renaming(rename: Callable[..., None]) -> Callable[..., None]:
        def renamed(source: Any, target: Any) -> None:
            rename(source, target)
            calls.append(("rename from", Path(source)))
            calls.append(("rename to", Path(target)))

        return renamed

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renaming(real.replace))
    monkeypatch.setattr(os, "rename", renaming(real.rename))
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_content_is_flushed_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    calls = recorded(monkeypatch)
    KINDS[kind](tmp_path)
    renames = [at for at, (call, _) in enumerate(calls) if call == "rename from"]
    assert renames
    for at in renames:
        temporary, target = calls[at][1], calls[at + 1][1]
        assert ("flush", temporary) in calls[:at]
        assert ("flush", target.parent) in calls[at + 2 :]


@pytest.mark.parametrize("kind", ["a cached dataset", "prepared items"])
def test_all_arrays_of_a_folder_are_flushed_before_it_is_renamed(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    calls = recorded(monkeypatch)
    KINDS[kind](tmp_path)
    at, folder = next(
        (at, path) for at, (call, path) in enumerate(calls) if call == "rename from" and not path.suffix
    )
    arrays = {path.name for path in calls[at + 1][1].glob("*.npy")}
    assert arrays and arrays <= {
        path.name for call, path in calls[:at] if call == "flush" and path.parent == folder
    }


def test_the_arrays_of_a_record_are_named_before_the_record_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = recorded(monkeypatch)
    record(tmp_path)
    assert [path.suffix for call, path in calls if call == "rename to"] == [".npz", ".json"]


def test_a_run_leaves_no_temporary_file(tmp_path: Path) -> None:
    bench.run(
        methods="random_projection",
        datasets="synthetic[n=60,queries=10]",
        bits=8,
        seeds=1,
        results=str(tmp_path),
    )
    assert not list(tmp_path.rglob(".tmp-*")) and not list(tmp_path.glob(".*.trace"))
