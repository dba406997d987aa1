"""MS-COCO: miniature copies of both editions as their owners lay them out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Raw
from bench.datasets.mscoco import Mscoco
from bench.errors import DataError

Write = Callable[..., Path]
KINDS = [{"supercategory": "a", "id": 18, "name": "dog"}, {"supercategory": "a", "id": 1, "name": "person"}]
# photo: kinds of its objects, captions by id; 9 has no object, 25 no caption, 30 no photo
PHOTOS: dict[str, dict[int, tuple[list[int], dict[int, str]]]] = {
    "train": {
        9: ([], {1: "Nothing here"}),
        25: ([18], {2: " \n"}),
        30: ([1], {3: "Lost"}),
        42: ([18, 18, 1], {7: "second\ncaption.", 5: "First caption"}),
    },
    "val": {7: ([1], {8: "A person"}), 8: ([18], {9: "A dog"})},
}


def name(number: int, part: str, year: str) -> str:
    return f"COCO_{part}2014_{number:012d}.jpg" if year == "2014" else f"{number:012d}.jpg"


@pytest.fixture(params=["2014", "2017"])
def year(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write, year: str) -> Path:
    home = tmp_path / "mscoco"
    for part, photos in PHOTOS.items():
        images = [{"id": i, "file_name": name(i, part, year), "height": 6, "width": 8} for i in photos]
        objects = [
            {"segmentation": [[1, 2, 3]], "iscrowd": 0, "image_id": i, "category_id": k, "id": 100 + i}
            for i, (kinds, _) in photos.items()
            for k in kinds
        ]
        captions = [
            {"image_id": i, "id": c, "caption": text}
            for i, (_, found) in photos.items()
            for c, text in found.items()
        ]
        for what, found in (("instances", objects), ("captions", captions)):
            stored = {"info": {}, "images": images, "annotations": found}
            if what == "instances":
                stored["categories"] = KINDS
            write(home / "annotations" / f"{what}_{part}{year}.json", json.dumps(stored))
        for number in photos:
            if number != 30:
                photo(home / f"{part}{year}" / name(number, part, year), colour=(0, 0, number * 5))
    return tmp_path


def parsed(root: Path, year: str, **options: Any) -> Raw:
    chosen: dict[str, Any] = {"queries": 1, "variant": year} | options
    return Mscoco(**chosen).raw(root)


def test_photos_with_an_object_a_caption_and_a_file_are_kept(copy: Path, year: str) -> None:
    raw = parsed(copy, year)
    assert raw.ids.tolist() == [7, 8, 42]
    assert raw.classes == ("person", "dog")
    assert raw.labels.tolist() == [[1, 0], [0, 1], [1, 1]]


def test_captions_are_joined_in_the_order_of_their_ids(copy: Path, year: str) -> None:
    assert parsed(copy, year).texts[2] == "First caption second caption."
    assert parsed(copy, year, captions="first").texts[2] == "First caption"


def test_the_picture_of_a_row_is_that_of_its_id(copy: Path, year: str) -> None:
    pixel = parsed(copy, year).image(2).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[2] - 210) < 5


def test_photos_are_read_from_the_owners_zips(copy: Path, year: str) -> None:
    folder = copy / "mscoco" / f"val{year}"
    with zipfile.ZipFile(copy / "mscoco" / f"val{year}.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"val{year}/{path.name}")
            path.unlink()
    assert parsed(copy, year).image(0).size == (8, 6)


def test_dropped_photos_are_noted(copy: Path, year: str) -> None:
    notes = parsed(copy, year).notes
    assert "dropped photos without a labelled object: 1" in notes
    assert "dropped photos without a caption: 1" in notes
    assert any(note.startswith("dropped items without a picture: 1 ") for note in notes)
    assert any(note.startswith("pairs: found 3, expected 122218") for note in notes)


def test_a_truncated_file_is_named(copy: Path, year: str) -> None:
    path = copy / "mscoco" / "annotations" / f"captions_val{year}.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"captions_val{year}\.json: holds no COCO annotations") as caught:
        parsed(copy, year)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_refused(copy: Path, year: str, write: Write) -> None:
    write(copy / "mscoco" / "annotations" / f"instances_val{year}.json", '{"images": []}')
    with pytest.raises(DataError, match=rf"instances_val{year}\.json: has no annotations"):
        parsed(copy, year)


@pytest.mark.parametrize("wrong", [{"image_id": 99}, {"category_id": 2}])
def test_an_object_of_an_unlisted_photo_or_kind_is_named_and_labels_no_other(
    copy: Path, year: str, wrong: dict[str, int]
) -> None:
    path = copy / "mscoco" / "annotations" / f"instances_val{year}.json"
    stored = json.loads(path.read_text())
    stored["annotations"][0] |= wrong
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=r"mscoco: an object has kind \d+ and image \d+, and one of them"):
        parsed(copy, year)


def test_files_of_another_edition_are_not_read(copy: Path, year: str) -> None:
    with pytest.raises(DataError, match="no instances_train20"):
        parsed(copy, "2017" if year == "2014" else "2014")


def test_the_real_labels_give_the_published_number_of_photos(real: Callable[[str], Path]) -> None:
    with np.load(real("labels-at-scale/coco2014_123287x80.npz"), allow_pickle=False) as stored:
        labelled = int((np.diff(stored["indptr"]) > 0).sum())
        assert (labelled, len(stored["names"])) == (Mscoco.card.counts["2014"].pairs, 80)


def test_an_option_makes_the_owners_val_part_the_queries(copy: Path, year: str) -> None:
    raw = parsed(copy, year, owners_split=True)
    assert (raw.ids[raw.query].tolist(), raw.ids[raw.train].tolist()) == ([7, 8], [42])
