"""IAPR TC-12: a miniature copy as its owners lay it out, with the extension's labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.api import Raw
from bench.datasets.iaprtc12 import Iaprtc12
from bench.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Photos 1 to 4 and 112: 2 has no region, 3 an empty description, 4 no photo."""
    home = tmp_path / "iaprtc12"
    texts = {1: "a ni\xf1o & a llama;", 2: "nothing", 3: "", 4: "lost", 112: "a llama < on\r\na hill;"}
    for number, text in texts.items():
        folder = f"{number // 100:02d}"
        content = (
            f"<DOC>\r\n<DOCNO>annotations/{folder}/{number}.eng</DOCNO>\r\n<TITLE>Title</TITLE>\r\n"
            f"<DESCRIPTION>{text}</DESCRIPTION>\r\n<NOTES></NOTES>\r\n"
            f"<IMAGE>images/{folder}/{number}.jpg</IMAGE>\r\n</DOC>\r\n"
        )
        write(home / "iaprtc12" / "annotations_complete_eng" / folder / f"{number}.eng", content, "latin-1")
        if number != 4:
            photo(home / "iaprtc12" / "images" / folder / f"{number}.jpg", colour=(number, 0, 0))
            photo(home / "iaprtc12" / "thumbnails" / folder / f"{number}.jpg", colour=(255, 255, 255))
    write(home / "saiapr" / "wlist.txt", "1\tair\r\n7\tanimal\r\n60\tchild-boy\r\n")
    write(
        home / "saiapr" / "saiapr_tc-12" / "00" / "labels.txt",
        "1\t1\t60\r\n1 2 7\r\n1 3 7\r\n3 1 7\r\n4 1 7\r\n",
    )
    write(home / "saiapr" / "saiapr_tc-12" / "01" / "labels.txt", "112\t1\t7\n")
    return tmp_path


def parsed(root: Path, **options: Any) -> Raw:
    return Iaprtc12(**{"queries": 1} | options).raw(root)


def test_photos_with_a_description_and_a_region_are_kept(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.ids.tolist() == [1, 112]
    assert list(raw.texts) == ["a niño & a llama;", "a llama < on a hill;"]


def test_labels_are_those_of_the_regions_by_number(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.classes == ("animal", "child-boy")
    assert raw.labels.tolist() == [[1, 1], [1, 0]]


def test_the_vocabulary_is_the_words_of_most_training_descriptions(copy: Path) -> None:
    raw = parsed(copy, words=4)
    train = raw.texts[raw.train[0]]
    assert raw.vocabulary == (("a", "llama", "niño") if "niño" in train else ("a", "hill", "llama", "on"))
    assert parsed(copy, words=1).vocabulary == ("a",)


def test_the_photo_and_not_its_thumbnail_is_read(copy: Path) -> None:
    pixel = parsed(copy).image(1).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 112) < 5


def test_dropped_photos_and_unusual_counts_are_noted(copy: Path) -> None:
    notes = parsed(copy).notes
    assert "dropped photos without a description or a labelled region: 2" in notes
    assert "dropped items without a picture: 1 (first: 4.jpg)" in notes
    assert any(note.startswith("classes: found 2, expected 255") for note in notes)
    assert any(re.match("words: found [34], expected 2912", note) for note in notes)


def test_a_malformed_line_of_labels_is_named(copy: Path, write: Write) -> None:
    write(copy / "iaprtc12" / "saiapr" / "saiapr_tc-12" / "01" / "labels.txt", "112 1 7\n112 x\n")
    with pytest.raises(DataError, match=r"labels\.txt: line 2 is '112 x'; expected the numbers of a photo"):
        parsed(copy)


def test_a_copy_without_the_extension_is_an_error(copy: Path) -> None:
    (copy / "iaprtc12" / "saiapr" / "wlist.txt").unlink()
    with pytest.raises(DataError, match=r"no wlist\.txt.*expected the words of the labels of SAIAPR TC-12"):
        parsed(copy)
