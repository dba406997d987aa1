"""The cache of datasets is not believed: damage is noticed, said, and repaired."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import Batch, Dataset, DatasetSource, Split
from bench.cli import main
from bench.data import cache, entries
from bench.datasets import synthetic
from bench.datasets._reading import scratch
from bench.disk import places, stamps
from bench.plugins import registry
from bench.study.planner import Planner
from bench.study.study import Study

OPTIONS = {"n": 60, "queries": 10}
Prepare = Callable[[], cache.CachedDataset]


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prepare:
    """Prepares a small dataset in a cache of its own."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def prepared() -> cache.CachedDataset:
        return cache.prepare("synthetic", source(), OPTIONS, tmp_path)

    return prepared


def source() -> Any:
    return registry.get("dataset", "synthetic")(**OPTIONS)


def zeroed(path: Path) -> None:
    """Zero the last bytes and keep the size, as a power cut may."""
    content = path.read_bytes()
    path.write_bytes(content[:-64] + bytes(64))


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zeroed bytes": lambda folder: zeroed(folder / "train.image.npy"),
    "a cut array": lambda folder: os.truncate(folder / "query.text.npy", 200),
    "a longer array": lambda folder: lengthened(folder / "train.ids.npy"),
    "a missing array": lambda folder: (folder / "train.labels.npy").unlink(),
    "a pipe": lambda folder: piped(folder / "train.labels.npy"),
    "a cut manifest": lambda folder: os.truncate(folder / "manifest.json", 100),
    "an empty manifest": lambda folder: (folder / "manifest.json").write_bytes(b""),
    "another manifest": lambda folder: (folder / "manifest.json").write_text('{"name": 1}'),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "no file": emptied,
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_repaired_with_a_line_that_says_so(
    prepare: Prepare, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepare()
    DAMAGES[damage](before.folder)
    with caplog.at_level(logging.WARNING):
        after = prepare()
    assert [record.message.endswith("The dataset is cached again.") for record in caplog.records] == [True]
    assert str(before.folder) in caplog.text
    assert after.fingerprint == before.fingerprint
    assert np.array_equal(
        after.open(source()).train.image.features, source().load(Path()).train.image.features
    )


def test_damage_says_nothing_once_it_is_repaired(prepare: Prepare, caplog: pytest.LogCaptureFixture) -> None:
    zeroed(prepare().folder / "train.image.npy")
    prepare()
    caplog.clear()
    prepare()
    assert not caplog.records


@pytest.mark.parametrize("damage", ["zeroed bytes", "no manifest"])
def test_damage_during_a_run_is_repaired_by_whoever_opens_the_dataset(prepare: Prepare, damage: str) -> None:
    cached = prepare()
    DAMAGES[damage](cached.folder)
    assert np.array_equal(cached.open(source()).train.ids, source().load(Path()).train.ids)


def test_a_cache_deleted_during_a_run_is_made_again(prepare: Prepare) -> None:
    cached = prepare()
    shutil.rmtree(places.cache())
    assert len(cached.open(source()).train.ids) == 60


@pytest.mark.parametrize("damage", [None, "zeroed bytes", "no file"])
def test_what_another_run_stores_while_this_one_loads_stays(
    prepare: Prepare, damage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage:
        DAMAGES[damage](prepare().folder)
    load, folders = synthetic.Synthetic.load, []

    def loading(self: synthetic.Synthetic, root: Path) -> Dataset:
        dataset = load(self, root)
        monkeypatch.setattr(synthetic.Synthetic, "load", load)
        folders.append(prepare().folder.stat().st_ino)  # the other, which is quicker
        return dataset

    monkeypatch.setattr(synthetic.Synthetic, "load", loading)
    assert [prepare().folder.stat().st_ino] == folders


def test_a_folder_that_is_replaced_while_it_is_opened_is_opened_again(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, open_dataset = prepare(), entries.open_dataset

    def opening(folder: Path, *rest: Any) -> Dataset:
        monkeypatch.setattr(entries, "open_dataset", open_dataset)
        folder.rename(folder.with_name("replaced"))
        return open_dataset(folder, *rest)

    monkeypatch.setattr(entries, "open_dataset", opening)
    assert len(cached.open(source()).train.ids) == 60


def test_unchanged_arrays_are_not_read(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    monkeypatch.setattr(stamps, "digest", None)  # calling it would raise
    prepare().open(source())


def test_an_array_of_another_time_is_read_once(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(prepare().folder / "train.image.npy", (0, 0))
    prepare()
    monkeypatch.setattr(stamps, "digest", None)
    prepare()


def test_an_interrupted_attempt_is_no_dataset(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array_header_1_0", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare()
    assert list(cache.folder().iterdir()) == []


def test_check_finds_bytes_that_changed_without_a_trace_and_the_next_opening_repairs_them(
    prepare: Prepare, caplog: pytest.LogCaptureFixture
) -> None:
    cached = prepare()
    file = cached.folder / "train.image.npy"
    times = file.stat()
    zeroed(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.check({"another"}) == {}
    faults = cache.check({cached.fingerprint})
    assert faults == {"synthetic[n=60,queries=10]": f"{file}: its content has changed since it was written"}
    prepare()
    assert "cached again" in caplog.text
    assert cache.check({cached.fingerprint}) == {}


def test_verify_names_damaged_data(
    prepare: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one: dict[str, Any] = {"methods": "random_projection", "datasets": "synthetic[n=60,queries=10]"}
    one |= {"bits": 8, "seeds": 1}
    study = Study.make(**one, results=str(tmp_path / "r"))
    bench.run(study)
    assert main(["verify", str(tmp_path / "r")]) == 0
    [cell] = Planner().cells(study)
    zeroed(cell.data.cached.folder / "train.image.npy")
    assert main(["verify", str(tmp_path / "r")]) == 1
    assert "train.image.npy: its content has changed since it was written" in capsys.readouterr().out


def test_a_large_matrix_is_moved_into_the_cache_not_copied(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = prepare()
    expected = {path.name: path.read_bytes() for path in small.folder.glob("*.npy")}
    shutil.rmtree(small.folder)
    written: set[int] = set()
    make = scratch.together

    def noted(*args: Any) -> dict[str, Any]:
        arrays: dict[str, Any] = make(*args)
        written.update(Path(str(array.filename)).stat().st_ino for array in arrays.values())
        return arrays

    monkeypatch.setattr(synthetic, "IN_MEMORY", 5)
    monkeypatch.setattr(scratch, "together", noted)
    large = prepare()
    assert {path.name: path.read_bytes() for path in large.folder.glob("*.npy")} == expected
    assert written <= {path.stat().st_ino for path in large.folder.iterdir()}
    assert large.fingerprint == small.fingerprint
    assert list(cache.folder().iterdir()) == [large.folder]


class Halves(DatasetSource):
    """Queries and training items are the two halves of one large file, the same in both modalities."""

    def load(self, root: Path) -> Dataset:
        rows = scratch.written((20, 3), [np.arange(60, dtype=np.float32).reshape(20, 3)])

        def split(part: slice) -> Split:
            labels = np.ones((10, 2), np.uint8)
            return Split(
                image=Batch(rows[part]), text=Batch(rows[part]), labels=labels, ids=np.arange(20)[part]
            )

        return Dataset(name="halves", train=split(slice(10)), query=split(slice(10, 20)))


def test_a_part_of_a_large_matrix_is_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_identity", lambda *_: "0")
    made = cache.prepare("halves", Halves(), {}, tmp_path).open(Halves())
    assert made.train.image.features[:, 0].tolist() == list(range(0, 30, 3))
    assert made.query.text.features[:, 0].tolist() == list(range(30, 60, 3))
    assert [path.name for path in cache.folder().iterdir()] == ["halves-0"]


def test_a_large_matrix_that_occurs_twice_is_stored_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Twice(DatasetSource):
        def load(self, root: Path) -> Dataset:
            rows = scratch.written((10, 3), [np.ones((10, 3), np.float32)])
            labels = np.ones((10, 2), np.uint8)
            split = Split(image=Batch(rows), text=Batch(rows), labels=labels, ids=np.arange(10))
            other = replace(split, ids=np.arange(10, 20))
            return Dataset(name="twice", train=split, query=other)

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_identity", lambda *_: "0")
    made = cache.prepare("twice", Twice(), {}, tmp_path).open(Twice())
    assert all((part.text.features == 1).all() for part in (made.train, made.query))
