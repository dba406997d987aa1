"""RSICD: a miniature copy as its owners lay it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.api import Raw
from bench.cli import main
from bench.datasets.rsicd import Rsicd
from bench.errors import DataError

Write = Callable[..., Path]
PHOTOS = {
    "airport_1.jpg": "train",
    "beach_2.jpg": "train",
    "00001.jpg": "train",
    "00002.jpg": "train",
    "airport_3.jpg": "val",
    "beach_4.jpg": "test",
    "lost_5.jpg": "test",
}


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    """``00001`` is on the list of beaches, ``00002`` on none; ``lost_5`` has no photo."""
    home = tmp_path / "rsicd"
    images = [
        {"filename": name, "split": part, "sentences": [{"raw": f"{name} one ."}, {"raw": "two  words ."}]}
        for name, part in PHOTOS.items()
    ]
    write(home / "dataset_rsicd.json", json.dumps({"images": images}))
    write(home / "txtclasses_rsicd" / "beach.txt", "00001.jpg\r\nbeach_2.jpg\r\n")
    for i, name in enumerate(PHOTOS):
        if name != "lost_5.jpg":
            photo(home / "RSICD_images" / name, colour=(i, 0, 0))
    return tmp_path


def labels(raw: Raw) -> list[str]:
    return [raw.classes[row.argmax()] for row in raw.labels]


def test_lists_and_names_give_classes(copy: Path) -> None:
    assert labels(Rsicd().raw(copy)) == ["airport", "beach", "beach", "beach"]


def test_test_photos_are_queries_and_val_is_left_out(copy: Path) -> None:
    raw = Rsicd().raw(copy)
    assert (raw.train.tolist(), raw.query.tolist()) == ([0, 1, 2], [3])


def test_a_text_is_all_captions(copy: Path) -> None:
    assert Rsicd().raw(copy).texts[0] == "airport_1.jpg one . two words ."


def test_what_is_left_out_is_noted(copy: Path) -> None:
    notes = Rsicd().raw(copy).notes
    assert "left out, without a class or a caption: 1" in notes
    assert "dropped items without a picture: 1 (first: lost_5.jpg)" in notes
    assert "pairs: found 4, expected 9827" in notes


def test_without_photos_the_copy_is_refused(copy: Path) -> None:
    for path in (copy / "rsicd" / "RSICD_images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"rsicd: has none of the 5 pictures"):
        Rsicd().raw(copy)


def test_without_captions_the_message_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rsicd: no dataset_rsicd\.json"):
        Rsicd().raw(tmp_path)


def test_a_prepared_copy_keeps_the_contract(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(copy / "cache"))
    words = ["rsicd[image=colour,text=bow:1,clip=none]", "--data-root", str(copy)]
    assert main(["data", "prepare", *words]) == 0
    assert main(["check", *words]) == 0
