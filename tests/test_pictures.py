"""Methods that read pictures, texts and class names: they are shown those of their items, and no others."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import Batch, Capabilities, Pictures, Split
from bench.checks.suite import check_method
from bench.datasets.scenes import Scenes
from bench.errors import DataError
from bench.plugins import registry
from bench.protocol.shown import chunk, encode, shown
from bench.protocol.stream import Withheld
from bench.running.hosts import Isolation

PLUGINS = Path(__file__).with_name("plugins")
ALL = Capabilities(pictures=True, texts=True, class_names=True, validation=0.25)


class Counted:
    """Pictures that count how many were decoded, and remember which rows they hold."""

    decoded = 0

    def __init__(self, numbers: Any) -> None:
        self.numbers = np.asarray(numbers)

    def __call__(self, row: int) -> Any:
        from PIL import Image

        Counted.decoded += 1
        return Image.new("RGB", (4, 2), (int(self.numbers[row]), 0, 0))

    def take(self, rows: Any) -> Counted:
        return Counted(self.numbers[rows])


@pytest.fixture
def train() -> Split:
    Counted.decoded = 0
    features, rows = np.zeros((12, 3), np.float32), np.arange(12)
    image = Batch(features, pictures=Pictures(Counted(10 * rows), rows))
    text = Batch(features, texts=tuple(f"text {i}" for i in rows))
    labels = np.eye(3, dtype=np.uint8)[rows % 3]
    return Split(image=image, text=text, labels=labels, ids=rows, classes=("ant", "bee", "cat"))


def reader(split: Split) -> Counted:
    assert split.image.pictures is not None and isinstance(split.image.pictures.reader, Counted)
    return split.image.pictures.reader


def test_nothing_is_decoded_before_somebody_reads_it(train: Split) -> None:
    seen = shown(train, np.array([3, 1]), ALL)
    assert Counted.decoded == 0
    assert seen.image.pictures is not None and seen.image.pictures[0].shape == (2, 4, 3)
    assert Counted.decoded == 1


def test_pictures_and_texts_follow_the_order_of_arrival(train: Split) -> None:
    seen = shown(train, np.array([3, 1]), ALL)
    assert seen.image.pictures is not None
    assert [int(seen.image.pictures[i][0, 0, 0]) for i in range(2)] == [30, 10]
    assert seen.text.texts == ("text 3", "text 1")


def test_a_method_that_declares_nothing_is_given_neither_pictures_nor_texts_nor_names(train: Split) -> None:
    seen = shown(train, np.array([3, 1]), Capabilities())
    assert seen.image.pictures is None and seen.text.texts is None
    assert seen.classes == () and seen.validation is None


def test_what_is_shown_leads_to_no_other_pictures(train: Split) -> None:
    assert reader(shown(train, np.array([3, 1]), ALL)).numbers.tolist() == [30, 10]


def test_a_withheld_picture_is_black_and_a_withheld_text_is_empty(train: Split) -> None:
    absent = np.arange(12) == 3
    seen = shown(train, np.array([3, 1]), ALL, Withheld(absent={"image": absent, "text": absent}))
    assert seen.image.pictures is not None
    assert not seen.image.pictures[0].any() and seen.image.pictures[1].any()
    assert reader(seen).numbers.tolist() == [10]
    assert seen.text.texts == ("", "text 1")


def test_a_share_of_each_chunk_is_set_aside_for_validation(train: Split) -> None:
    learn, held = chunk(train, np.arange(8), ALL, 0).parts()
    assert len(learn) == 6 and len(held) == 2
    assert sorted([*learn.ids, *held.ids]) == list(range(8))


def test_encode_is_given_the_pictures_of_its_block(train: Split) -> None:
    class Red:
        bits, capabilities = 1, ALL

        def encode(self, batch: Batch, modality: str) -> Any:
            assert batch.pictures is not None
            reds = [batch.pictures[i][0, 0, 0] for i in range(len(batch))]
            return np.where(np.array(reds) > 20, 1, -1).astype(np.int8)[:, None]

    codes = encode(Red(), train, "image", np.array([1, 5]))  # type: ignore[arg-type]
    assert codes.ravel().tolist() == [-1, 1]


def test_pictures_are_a_dataset_for_torch(train: Split) -> None:
    from torch.utils.data import DataLoader

    assert train.image.pictures is not None
    loader: Any = DataLoader(train.image.pictures.mapped(lambda p: p.size[0]), batch_size=5)
    assert [len(batch) for batch in loader] == [5, 5, 2]


def test_a_scene_taken_out_of_a_dataset_is_painted_alike() -> None:
    raw = Scenes(n=6, queries=3, clip=None).raw(Path())
    reader: Any = raw.image
    taken = reader.take(np.array([7, 2]))
    assert np.array_equal(np.array(taken(0)), np.array(raw.image(7)))
    assert np.array_equal(np.array(taken(1)), np.array(raw.image(2)))
    assert len(pickle.dumps(taken)) < 4000


@pytest.mark.parametrize("in_process", [False, True])
def test_a_run_shows_a_method_the_pictures_of_its_chunk(in_process: bool, tmp_path: Path) -> None:
    results = bench.run(
        methods="reads",
        datasets="scenes[n=40,queries=8,clip=none]",
        bits="8",
        seeds=1,
        schedule="stored:20",
        train="all",
        plugin=[str(PLUGINS / "reads.py")],
        results=str(tmp_path),
        isolation=Isolation(in_process=in_process),
    )
    raw = Scenes(n=40, queries=8).raw(Path())
    [record] = results.records
    assert record.status == "ok", record.traceback
    assert "15 + 5 items" in record.notes
    assert f"classes {', '.join(raw.classes)}" in record.notes
    assert f"text {raw.texts[20]}" in record.notes
    assert "reader has 20 pictures" in record.notes
    assert f"first picture sums to {int(np.array(raw.image(20)).sum())}" in record.notes


def test_a_dataset_of_a_plugin_file_shows_its_pictures_to_a_process_of_its_own(
    tmp_path: Path, plugin_file: Any
) -> None:
    text = (PLUGINS.parents[1] / "tests" / "page" / "plugins" / "pictures.py").read_text()
    text = text.replace("image=_picture,", "image=Rectangles(np.arange(60)),")
    text += (
        "\n\nclass Rectangles:\n"
        "    def __init__(self, rows):\n        self.rows = rows\n\n"
        "    def __call__(self, row):\n        return _picture(4 * int(self.rows[row]))\n\n"
        "    def take(self, rows):\n        return Rectangles(self.rows[rows])\n"
    )
    path = plugin_file("rectangles", text)
    results = bench.run(
        methods="reads",
        datasets="rectangles",
        bits="8",
        seeds=1,
        plugin=[str(PLUGINS / "reads.py"), str(path)],
        results=str(tmp_path / "runs"),
    )
    [record] = results.records
    assert record.status == "ok", record.traceback


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ("synthetic[n=40,queries=8]", "it reads pictures and texts; the dataset has features alone"),
        ("pictures", "it reads pictures and texts; pictures: Raw.image has no take(rows)"),
    ],
)
def test_a_method_that_reads_pictures_is_skipped_where_there_are_none(
    dataset: str, reason: str, tmp_path: Path
) -> None:
    page = PLUGINS.parent / "page" / "plugins" / "pictures.py"
    results = bench.run(
        methods="reads",
        datasets=dataset,
        bits="8",
        seeds=1,
        plugin=[str(PLUGINS / "reads.py"), str(page)],
        results=str(tmp_path),
    )
    [record] = results.records
    assert record.status == "skipped" and record.reason.startswith(reason)


def test_pictures_of_other_items_are_refused() -> None:
    from dataclasses import replace

    from bench.data.pictured import pictured

    source = Scenes(n=60, queries=3, clip=None)
    dataset = source.load(Path())
    other = replace(dataset, train=replace(dataset.train, ids=dataset.train.ids + 1))
    with pytest.raises(DataError, match="belong to other items"):
        pictured(other, source, Path())


def test_a_method_that_reads_pictures_passes_its_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(PLUGINS / "reads.py")
    failed = {r.name: r.message for r in check_method("reads") if not r.ok}
    assert set(failed) <= {"it_has_a_docstring_and_a_source"}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test adds to the registry is forgotten afterwards."""
    monkeypatch.setattr(registry, "_extra", {})
