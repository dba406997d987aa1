"""Views on disk: the same whatever the batches, resumed after a kill, shared between splits, never half."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.views import extract, files
from bench.data.views.extract import Pace
from bench.errors import DataError, ParameterError, StoreError

Prepare = Callable[..., Any]


def only(root: Path, view: str) -> Path:
    """The one finished folder of a view."""
    (folder,) = (path.parent for path in root.glob(f"toy/views/*/{view}/[!.]*/manifest.json"))
    return folder


def features(root: Path, view: str) -> np.ndarray[Any, Any]:
    return np.asarray(np.load(only(root, view) / "features.npy"))


class Stopped(Exception):
    """In place of a kill."""


def stopping(toy: Any, monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Make the picture of an item stop everything; returns the numbers that are asked for."""
    asked: list[int] = []
    whole = toy.show

    def show(n: int) -> Any:
        asked.append(n)
        if n == number:
            raise Stopped
        return whole(n)

    monkeypatch.setattr(toy, "show", staticmethod(show))
    return asked


def test_load_maps_train_and_queries_of_the_views_that_the_options_name(
    toy: Any, prepared: Prepare, tmp_path: Path
) -> None:
    raw = prepared(toy())
    data = toy().load(tmp_path)
    assert (data.train.image.features.shape, data.query.text.features.shape[0]) == ((50, 256), 10)
    assert isinstance(data.train.image.features, np.memmap)
    np.testing.assert_array_equal(data.query.ids, raw.ids[raw.query])
    np.testing.assert_array_equal(data.train.labels, raw.labels[raw.train])


def test_each_row_belongs_to_its_item(toy: Any, prepared: Prepare, tmp_path: Path) -> None:
    from bench.encoders.colour import colour

    raw = prepared(toy())
    data = toy().load(tmp_path)
    np.testing.assert_array_equal(data.train.image.features[7], colour(raw.image(7)))
    np.testing.assert_array_equal(data.query.image.features[3], colour(raw.image(53)))


@pytest.mark.parametrize(("batch", "workers"), [(1, 0), (60, 0), (7, 1)])
def test_batches_and_workers_do_not_change_the_features(
    toy: Any, prepared: Prepare, tmp_path: Path, batch: int, workers: int
) -> None:
    prepared(toy(), "gist", batch=8)
    expected = features(tmp_path, "gist")
    prepared(toy(), "gist", batch=batch, workers=workers, anew=True)
    np.testing.assert_allclose(features(tmp_path, "gist"), expected, atol=1e-5)


def test_a_killed_extraction_goes_on_at_the_last_batch(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stopping(toy, patched, 100 + 37)
        with pytest.raises(Stopped):
            prepared(toy(), "colour")
    asked = stopping(toy, monkeypatch, -1)
    prepared(toy(), "colour")
    assert set(range(132, 160)) <= set(asked)  # batches of 8: 32 rows had been written
    assert len([n for n in set(asked) if n < 132]) <= extract.SAMPLE
    resumed = features(tmp_path, "colour")
    prepared(toy(), "colour", anew=True)
    np.testing.assert_array_equal(features(tmp_path, "colour"), resumed)


def test_what_a_kill_left_of_a_row_is_written_again(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stopping(toy, patched, 100 + 37)
        with pytest.raises(Stopped):
            prepared(toy(), "colour")
    (growing,) = tmp_path.glob("toy/views/image/colour/.*.partial/features.npy")
    os.truncate(growing, growing.stat().st_size - 5)
    prepared(toy(), "colour")
    expected = features(tmp_path, "colour")
    prepared(toy(), "colour", anew=True)
    np.testing.assert_array_equal(features(tmp_path, "colour"), expected)


def test_a_half_finished_view_is_never_loaded(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(toy(), "bow:1")
    stopping(toy, monkeypatch, 100 + 37)
    with pytest.raises(Stopped):
        prepared(toy(), "colour")
    with pytest.raises(
        DataError, match=r"has not been prepared\. Run: bench data prepare toy --views colour"
    ):
        toy().load(tmp_path)


def test_another_split_copies_rows_and_reads_no_picture_but_the_sample(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(toy(n=60))
    asked = stopping(toy, monkeypatch, -1)
    prepared(toy(n=40))
    assert len(set(asked)) <= 2 * extract.SAMPLE
    data = toy(n=40).load(tmp_path)
    whole = toy(n=60).load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features[0], whole.train.image.features[30])


def test_options_that_keep_items_and_order_share_the_view(
    toy: Any, prepared: Prepare, tmp_path: Path
) -> None:
    prepared(toy(queries=10))
    prepared(toy(queries=20))
    sizes = [len(toy(queries=q).load(tmp_path).train) for q in (10, 20)]
    assert (sizes, len(features(tmp_path, "colour"))) == ([50, 40], 60)


def test_replaced_pictures_are_noticed(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(toy())
    before = features(tmp_path, "colour")
    whole = toy.show
    monkeypatch.setattr(toy, "show", staticmethod(lambda n: whole(n + 1000)))
    prepared(toy())
    assert not np.array_equal(features(tmp_path, "colour"), before)


def test_what_is_there_is_not_extracted_again(toy: Any, prepared: Prepare, tmp_path: Path) -> None:
    prepared(toy())
    before = (only(tmp_path, "colour") / "features.npy").stat().st_mtime_ns
    prepared(toy())
    assert (only(tmp_path, "colour") / "features.npy").stat().st_mtime_ns == before


def test_a_finished_view_that_was_cut_since_is_extracted_again(
    toy: Any, prepared: Prepare, tmp_path: Path
) -> None:
    prepared(toy())
    before = np.array(features(tmp_path, "colour"))
    path = only(tmp_path, "colour") / "features.npy"
    path.write_bytes(path.read_bytes()[:1000])
    prepared(toy())
    np.testing.assert_array_equal(features(tmp_path, "colour"), before)


def test_a_broken_picture_is_named_also_from_a_workers_process(
    toy: Any, prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(number: int) -> Any:
        raise DataError(f"im{number}.jpg: is truncated. Copy it again.")

    prepared(toy(), "bow:1")
    monkeypatch.setattr(extract.Inputs, "sample", lambda self: {})
    monkeypatch.setattr(toy, "show", staticmethod(show))
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"^im100\.jpg: is truncated. Copy it again.$"):
            prepared(toy(), "colour", workers=workers)


def test_two_processes_do_not_extract_one_view(toy: Any, prepared: Prepare, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="no file locks on this system")
    prepared(toy(), "colour")
    folder = only(tmp_path, "colour")
    with (folder.parent / f".{folder.name}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another process is extracting this view"):
            prepared(toy(), "colour", anew=True)


def test_the_manifest_tells_what_the_rows_are(toy: Any, prepared: Prepare, tmp_path: Path) -> None:
    prepared(toy(), "bow:1")
    manifest = json.loads((only(tmp_path, "bow-1") / "manifest.json").read_text())
    assert (manifest["rows"], manifest["dtype"], manifest["format"]) == (60, "float32", files.FORMAT)
    assert "green" in manifest["about"]["words"]


def test_features_that_are_not_finite_are_refused(
    toy: Any, prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.encoders.colour.colour", lambda p: np.array([1, np.nan], np.float32))
    with pytest.raises(DataError, match=r"from row 0: row 0, column 1 is nan"):
        prepared(toy(), "colour")


def test_raw_files_that_changed_after_parsing_are_noticed(
    toy: Any, prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from bench.api import Expected

    monkeypatch.setattr(toy, "card", replace(toy.card, files=(Expected(path="labels.txt"),)))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "labels.txt").write_text("1")
    prepared(toy())
    (tmp_path / "toy" / "labels.txt").write_text("12")
    with pytest.raises(DataError, match=r"labels\.txt: has changed since it was parsed"):
        toy().load(tmp_path)


@pytest.mark.parametrize("pace", [{"batch": 0}, {"workers": -1}])
def test_an_impossible_pace_is_refused(pace: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="expected at least 1 and at least 0"):
        Pace(**pace)
