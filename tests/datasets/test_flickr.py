"""Flickr8k and Flickr30k: miniature copies as their owners lay them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Raw
from bench.datasets.flickr8k import Flickr8k
from bench.datasets.flickr30k import Flickr30k
from bench.errors import DataError

Write = Callable[..., Path]
PHOTOS = ("a", "b", "c", "s", "t", "u", "dev")


@pytest.fixture
def flickr8k(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Training a, b, c; test s, t, u; of a, one caption is empty; b has no photo; one name is odd."""
    home = tmp_path / "flickr8k"
    lines = [f"{p}.jpg#{k}\t{p} caption {k} ." for p in PHOTOS for k in range(5)]
    lines[1] = "a.jpg#1\t"
    lines.append("a.jpg.1#0\tThe owners have such a name.")
    write(home / "Flickr8k_text" / "Flickr8k.token.txt", "\r\n".join(lines))
    for part, names in {"train": "abc", "test": "stu"}.items():
        write(home / "Flickr8k_text" / f"Flickr_8k.{part}Images.txt", "".join(f"{p}.jpg\r\n" for p in names))
    judged = "s.jpg\tt.jpg#2\t3\t4\t2\ns.jpg\tu.jpg#0\t1\t4\t3\ns.jpg\ts.jpg#1\t4\t4\t4\n"
    write(home / "Flickr8k_text" / "ExpertAnnotations.txt", judged)
    write(
        home / "Flickr8k_text" / "CrowdFlowerAnnotations.txt",
        "u.jpg\tt.jpg#2\t0.6\t2\t1\ns.jpg\tt.jpg#2\t0.3\t1\t2\n",
    )
    for p in PHOTOS:
        if p != "b":
            photo(home / "Flicker8k_Dataset" / f"{p}.jpg", colour=(ord(p[0]), 0, 0))
    return tmp_path


def relevant(raw: Raw) -> list[list[int]]:
    """For each query, the entries of the database that share a label with it."""
    shared = raw.labels[raw.query].astype(int) @ raw.labels[raw.train].T
    return [np.flatnonzero(row).tolist() for row in shared]


def test_each_query_finds_its_own_photo_with_its_other_captions(flickr8k: Path) -> None:
    raw = Flickr8k().raw(flickr8k)
    texts = [raw.texts[i] for i in raw.train]
    assert texts[:2] == [
        "a caption 0 . a caption 2 . a caption 3 . a caption 4 .",
        "c caption 0 . c caption 1 . c caption 2 . c caption 3 . c caption 4 .",
    ]
    assert [raw.texts[i] for i in raw.query] == ["s caption 0 .", "t caption 0 .", "u caption 0 ."]
    assert relevant(raw) == [[2], [3], [4]]
    assert texts[2].startswith("s caption 1 .")


def test_a_query_shows_the_photo_of_its_entry(flickr8k: Path) -> None:
    raw = Flickr8k().raw(flickr8k)
    one, other = (np.asarray(raw.image(int(row))) for row in (raw.query[1], raw.train[3]))
    np.testing.assert_array_equal(one, other)
    assert len(set(raw.ids.tolist())) == len(raw.ids)


@pytest.mark.parametrize(
    ("who", "found"), [("expert", [[2, 3], [2, 3], [4]]), ("crowd", [[2], [3, 4], [3, 4]])]
)
def test_judgements_make_other_photos_relevant_both_ways(
    flickr8k: Path, who: Any, found: list[list[int]]
) -> None:
    assert relevant(Flickr8k(relevance=who).raw(flickr8k)) == found


def test_the_notes_name_missing_photos_and_unusual_counts(flickr8k: Path) -> None:
    notes = Flickr8k().raw(flickr8k).notes
    assert "dropped items without a picture: 1 (first: b.jpg)" in notes
    assert any(note.startswith("pairs: found 8, expected 8000") for note in notes)
    assert any("test photos are in the stream too" in note for note in notes)


def test_a_test_photo_that_is_missing_has_no_label(flickr8k: Path) -> None:
    (flickr8k / "flickr8k" / "Flicker8k_Dataset" / "t.jpg").unlink()
    raw = Flickr8k().raw(flickr8k)
    assert raw.classes == ("s.jpg", "u.jpg")
    assert relevant(raw) == [[2], [3]]


def test_a_line_without_a_caption_number_is_named(flickr8k: Path, write: Write) -> None:
    write(flickr8k / "flickr8k" / "Flickr8k_text" / "Flickr8k.token.txt", "a.jpg#0\tfine\na.jpg bad\n")
    with pytest.raises(
        DataError, match=r"Flickr8k\.token\.txt: line 2 is 'a\.jpg bad'; expected photo\.jpg#0"
    ):
        Flickr8k().raw(flickr8k)


def test_a_judgement_without_numbers_is_named(flickr8k: Path, write: Write) -> None:
    write(flickr8k / "flickr8k" / "Flickr8k_text" / "ExpertAnnotations.txt", "s.jpg\tt.jpg#2\tgood\n")
    with pytest.raises(DataError, match=r"ExpertAnnotations\.txt: line 1 is"):
        Flickr8k(relevance="expert").raw(flickr8k)


@pytest.fixture
def flickr30k(tmp_path: Path, write: Write, photo: Write) -> Path:
    home = tmp_path / "flickr30k"
    split = {"1": "train", "2": "val", "3": "test", "4": "test"}
    images = [
        {"filename": f"{p}.jpg", "split": s, "sentences": [{"raw": f"{p} first"}, {"raw": f"{p}\n other"}]}
        for p, s in split.items()
    ]
    write(home / "dataset_flickr30k.json", json.dumps({"images": images, "dataset": "flickr30k"}))
    for p in split:
        photo(home / "flickr30k-images" / f"{p}.jpg")
    return tmp_path


def test_flickr30k_is_split_as_karpathy_has_it(flickr30k: Path) -> None:
    raw = Flickr30k().raw(flickr30k)
    assert [raw.texts[i] for i in raw.train] == ["1 first 1 other", "3 other", "4 other"]
    assert [raw.texts[i] for i in raw.query] == ["3 first", "4 first"]
    assert relevant(raw) == [[1], [2]]


def test_the_owners_captions_take_precedence(flickr30k: Path, write: Write) -> None:
    lines = "".join(f"3.jpg#{k}\towners' {k}\n" for k in range(3))
    write(flickr30k / "flickr30k" / "results_20130124.token", lines)
    raw = Flickr30k().raw(flickr30k)
    assert [raw.texts[i] for i in raw.query] == ["owners' 0", "4 first"]


def test_a_list_that_is_not_karpathys_is_named(flickr30k: Path, write: Write) -> None:
    write(flickr30k / "flickr30k" / "dataset_flickr30k.json", '{"images": [{"name": "1.jpg"}]}')
    with pytest.raises(DataError, match=r"dataset_flickr30k\.json: is not A\. Karpathy's list"):
        Flickr30k().raw(flickr30k)


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("[34].jpg", "has none of the test photos"),
        ("*.jpg", r"has none of the 5 pictures \(first: 1\.jpg\)"),
    ],
)
def test_a_copy_without_test_photos_is_refused(flickr30k: Path, missing: str, says: str) -> None:
    for path in (flickr30k / "flickr30k" / "flickr30k-images").glob(missing):
        path.unlink()
    with pytest.raises(DataError, match=says):
        Flickr30k().raw(flickr30k)


@pytest.fixture
def kaggle8k(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Kaggle's Flickr8k: one table of captions, one folder of photos, and no split."""
    home = tmp_path / "flickr8k"
    lines = ["image,caption", *(f'{p}.jpg,"{p}, caption {k} ."' for p in PHOTOS for k in range(5))]
    write(home / "captions.txt", "\n".join(lines) + "\n")
    for p in PHOTOS:
        photo(home / "Images" / f"{p}.jpg")
    return tmp_path


def test_kaggles_flickr8k_is_split_at_random_and_says_so(kaggle8k: Path) -> None:
    raw = Flickr8k(queries=2).raw(kaggle8k)
    assert (len(raw.train), len(raw.query)) == (len(PHOTOS), 2)
    assert raw.texts[raw.query[0]].endswith(", caption 0 .")
    assert "queries drawn at random: 2 of 7 photos, seed 0; the files define no split" in raw.notes


def test_karpathys_list_splits_kaggles_flickr8k(kaggle8k: Path, write: Write) -> None:
    images = [
        {"filename": f"{p}.jpg", "split": "test" if p == "u" else "train", "sentences": [{"raw": "x"}]}
        for p in PHOTOS
    ]
    write(kaggle8k / "flickr8k" / "dataset_flickr8k.json", json.dumps({"images": images}))
    raw = Flickr8k(queries=2).raw(kaggle8k)
    assert raw.texts[raw.query[0]] == "u, caption 0 ."
    assert len(raw.query) == 1


def test_kaggles_flickr30k_is_read_with_its_broken_line(tmp_path: Path, write: Write, photo: Write) -> None:
    home = tmp_path / "flickr30k"
    lines = [f"{p}.jpg| {k}| {p} runs, {k} ." for p in PHOTOS for k in range(5)]
    lines[4] = "a.jpg| 4   a runs across the grass ."
    write(home / "results.csv", "\n".join(["image_name| comment_number| comment", *lines]) + "\n")
    for p in PHOTOS:
        photo(home / "flickr30k_images" / f"{p}.jpg")
    raw = Flickr30k(queries=2, seed=1).raw(tmp_path)
    assert "a runs across the grass ." in " ".join(raw.texts)
    assert len(raw.query) == 2


def test_a_table_of_captions_without_its_header_is_named(kaggle8k: Path, write: Write) -> None:
    write(kaggle8k / "flickr8k" / "captions.txt", "a.jpg\ta dog\n")
    with pytest.raises(DataError, match=r"captions\.txt: begins 'a\.jpg.*expected the header image,caption"):
        Flickr8k(queries=2).raw(kaggle8k)
