"""NUS-WIDE: a miniature copy as its owners lay it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Raw
from bench.contract.validate import validate_dataset
from bench.datasets import nuswide
from bench.datasets.nuswide import SIFT, TAGS, TC10, TC21, Nuswide
from bench.errors import DataError

Write = Callable[..., Path]
NUMBERS = (501, 502, 503, 504, 505)
# photo: concepts, tags; 503 has none of the 21 concepts, 504 no tag, 502 a concept that is not of the 10
CONCEPTS = {"sky": (501, 505), "water": (501, 504), "snow": (502,), "toy": (503,)}
WORDS = {501: (0, 999), 502: (3,), 503: (3,), 504: (), 505: (1,)}


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    home = tmp_path / "nuswide"
    names = [f"actor\\{i:04d}_{n}.jpg" for i, n in enumerate(NUMBERS)]
    write(home / "ImageList" / "Imagelist.txt", "\r\n".join(names) + "\r\n")
    write(home / "ImageList" / "TrainImagelist.txt", "".join(f"{names[i]}\r\n" for i in (4, 0)))
    write(home / "ImageList" / "TestImagelist.txt", "".join(f"{names[i]}\r\n" for i in (1, 2, 3)))
    for concept in (*TC21, "toy"):
        column = "".join(f"{int(n in CONCEPTS.get(concept, ()))}\r\n" for n in NUMBERS)
        write(home / "Groundtruth" / "AllLabels" / f"Labels_{concept}.txt", column)
    tags = ["\t".join(str(int(c in WORDS[n])) for c in range(TAGS)) + "\t\r\n" for n in NUMBERS]
    write(home / "NUS_WID_Tags" / "AllTags1k.txt", "".join(tags))
    write(home / "NUS_WID_Tags" / "TagList1k.txt", "".join(f"tag{c}\r\n" for c in range(TAGS)))
    for part, rows in {"Train": (4, 0), "Test": (1, 2, 3)}.items():
        text = "".join(" ".join([str(row)] * SIFT) + " \r\n" for row in rows)
        write(home / "Low_Level_Features" / f"BoW_{part}_int.dat", text)
    for name, number in zip(names, NUMBERS, strict=True):
        photo(home / "Flickr" / name.replace("\\", "/"), colour=(number - 400, 0, 0))
    return tmp_path


def parsed(root: Path, **options: Any) -> Raw:
    return Nuswide(**{"queries": 1} | options).raw(root)


def test_the_first_variant_requires_a_concept_and_a_tag(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.ids.tolist() == [0, 1, 4]
    assert list(raw.texts) == ["tag0 tag999", "tag3", "tag1"]
    assert [TC21[c] for c in np.flatnonzero(raw.labels[0])] == ["sky", "water"]


@pytest.mark.parametrize(("variant", "ids"), [("tc21-195834", [0, 1, 3, 4]), ("tc10", [0, 3, 4])])
def test_the_other_variants_keep_photos_without_a_tag(copy: Path, variant: str, ids: list[int]) -> None:
    raw = parsed(copy, variant=variant)
    assert raw.ids.tolist() == ids
    assert len(raw.classes) == (10 if variant == "tc10" else 21)


def test_the_ten_concepts_are_among_the_21() -> None:
    assert set(TC10) < set(TC21)
    assert (len(TC10), len(TC21)) == (10, 21)


def test_the_published_labels_have_these_concepts_and_this_number_of_photos(
    real: Callable[[str], Path],
) -> None:
    with np.load(real("labels-at-scale/nuswide_tc21_190421x21.npz"), allow_pickle=False) as stored:
        assert tuple(stored["names"].tolist()) == TC21
        assert len(stored["indptr"]) - 1 == Nuswide.card.counts["tc21"].pairs
        frequent = np.argsort(-np.bincount(stored["indices"]))[:10]
    assert {TC21[c] for c in frequent} == set(TC10)


@pytest.mark.parametrize("flat", [False, True])
def test_photos_are_found_by_name_or_by_their_number_alone(copy: Path, flat: bool) -> None:
    if flat:
        for path in sorted((copy / "nuswide" / "Flickr").rglob("*.jpg")):
            path.rename(copy / "nuswide" / f"{path.stem[5:]}.jpg")
    pixel = parsed(copy).image(1).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 102) < 4


def test_dead_links_are_counted(copy: Path) -> None:
    (copy / "nuswide" / "Flickr" / "actor" / "0004_505.jpg").unlink()
    raw = parsed(copy)
    assert raw.ids.tolist() == [0, 1]
    assert "dropped items without a picture: 1 (first: 505)" in raw.notes
    assert any(note.startswith("pairs: found 2, expected 190421") for note in raw.notes)


def test_the_owners_features_need_no_photo(copy: Path) -> None:
    for path in (copy / "nuswide" / "Flickr").rglob("*.jpg"):
        path.unlink()
    source = Nuswide(queries=1, features="owners")
    data = source.load(copy)
    validate_dataset(data)
    rows = {
        int(i): r
        for part in (data.train, data.query)
        for i, r in zip(part.ids, part.image.features, strict=True)
    }
    assert {i: r[0] for i, r in rows.items()} == {0: 0, 1: 1, 4: 4}
    assert data.train.text.features.shape[1] == TAGS
    assert len(source.files(copy)) == 7 + 21


def test_a_block_that_ends_within_a_row_changes_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parsed(copy)
    monkeypatch.setattr(nuswide, "BLOCK", 701)
    assert list(parsed(copy).texts) == list(whole.texts)


def test_a_truncated_matrix_of_tags_is_named(copy: Path) -> None:
    path = copy / "nuswide" / "NUS_WID_Tags" / "AllTags1k.txt"
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(
        DataError, match=r"AllTags1k\.txt: has 4 rows of 1000 digits and .* more; expected 5 rows"
    ):
        parsed(copy)


def test_features_of_another_length_than_their_list_are_named(copy: Path, write: Write) -> None:
    write(copy / "nuswide" / "Low_Level_Features" / "BoW_Test_int.dat", "1 2 3\n")
    with pytest.raises(DataError, match=r"BoW_Test_int\.dat: holds 3 numbers; expected 3 × 500"):
        Nuswide(queries=1, features="owners").load(copy)


def test_features_with_text_are_named(copy: Path, write: Write) -> None:
    write(copy / "nuswide" / "Low_Level_Features" / "BoW_Test_int.dat", "1 2 x\n")
    with pytest.raises(DataError, match=r"BoW_Test_int\.dat: holds more than numbers"):
        Nuswide(queries=1, features="owners").load(copy)


def test_an_option_takes_the_queries_of_the_owners_list(copy: Path) -> None:
    raw = parsed(copy, variant="tc21-195834", owners_split=True)
    assert (raw.ids[raw.query].tolist(), raw.ids[raw.train].tolist()) == ([1, 3], [0, 4])
    assert "queries: the 2 labelled items of TestImagelist.txt" in raw.notes


def test_a_random_split_is_noted_for_the_records(copy: Path) -> None:
    assert "queries drawn at random: 1 of 3 labelled items, seed 0" in parsed(copy).notes
