"""The Wikipedia dataset, on the real file if it exists, and on damaged stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from bench.contract.validate import validate_dataset
from bench.data import inventory
from bench.datasets.wiki import CLASSES, SHAPES, Wiki
from bench.errors import DataError


def write(folder: Path, **changed: np.ndarray[Any, Any] | None) -> Path:
    """A wikiData.mat of random numbers; a variable given as None is left out."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {n: rng.random(s) for n, s in SHAPES.items() if n[0] != "L"}
    arrays |= {n: 1 + rng.integers(10, size=SHAPES[n]) for n in ("L_tr", "L_te")}
    kept = {n: a for n, a in (arrays | changed).items() if a is not None}
    scipy.io.savemat(folder / "wikiData.mat", kept)
    return folder / "wikiData.mat"


def test_the_real_file_has_the_class_counts_of_its_paper(real: Callable[[str], Path]) -> None:
    data = Wiki().load(real("wiki/wikiData.mat").parent)
    validate_dataset(data)
    assert data.train.labels is not None
    counts = dict(zip(CLASSES, data.train.labels.sum(axis=0, dtype=int).tolist(), strict=True))
    assert (counts["art"], counts["warfare"], counts["media"]) == (138, 347, 178)
    assert (len(data.train), len(data.query)) == (2173, 693)


def test_the_mat_file_and_the_same_arrays_as_npz_agree(real: Callable[[str], Path]) -> None:
    data = Wiki().load(real("wiki/wikiData.mat").parent)
    with np.load(real("wiki/wiki.npz"), allow_pickle=False) as stored:
        np.testing.assert_array_equal(data.query.image.features, stored["image_test"])
        assert data.train.labels is not None
        np.testing.assert_array_equal(data.train.labels.argmax(axis=1), stored["label_train"])


def test_each_item_gets_the_column_of_its_class_number(tmp_path: Path) -> None:
    numbers = np.ones((2173, 1))
    numbers[7] = 10
    write(tmp_path, L_tr=numbers)
    labels = Wiki().load(tmp_path).train.labels
    assert labels is not None
    assert (labels[7, 9], labels[8, 0], labels.sum()) == (1, 1, 2173)


def test_the_file_is_found_in_the_folder_wiki_and_in_another_case(tmp_path: Path) -> None:
    (tmp_path / "wiki").mkdir()
    path = write(tmp_path / "wiki")
    path.rename(path.with_name("WikiData.mat"))
    assert Wiki().files(tmp_path) == [path.with_name("WikiData.mat")]


def test_a_missing_file_is_an_error_with_instructions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no wikiData\.mat.*Download it, name it wikiData\.mat") as caught:
        Wiki().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wrong_shape_names_file_variable_and_both_shapes(tmp_path: Path) -> None:
    write(tmp_path, T_tr=np.zeros((2173, 11)))
    with pytest.raises(
        DataError, match=r"wikiData\.mat: variable T_tr: shape \(2173, 11\); expected shape \(2173, 10\)"
    ):
        Wiki().load(tmp_path)


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    write(tmp_path, L_te=None)
    with pytest.raises(DataError, match=r"variable L_te: missing among I_te, I_tr"):
        Wiki().load(tmp_path)


def test_an_impossible_class_number_is_named_with_its_row(tmp_path: Path) -> None:
    numbers = np.ones((693, 1))
    numbers[5] = 11
    write(tmp_path, L_te=numbers)
    with pytest.raises(DataError, match="variable L_te: row 5 is class 11"):
        Wiki().load(tmp_path)


def test_a_nan_is_named_with_its_variable_and_row(tmp_path: Path) -> None:
    image = np.zeros((2173, 128))
    image[3, 4] = np.nan
    write(tmp_path, I_tr=image)
    with pytest.raises(DataError, match="variable I_tr: row 3, column 4 is nan"):
        Wiki().load(tmp_path)


def test_a_truncated_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="truncated") as caught:
        Wiki().load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def owners(tmp_path: Path, write: Callable[..., Path], photo: Callable[..., Path]) -> Path:
    """Three training and two query pairs as the owners distribute them; one picture is missing."""
    home = tmp_path / "wiki" / "wikipedia_dataset"
    rows = {"train": ["a1 p1 1", "a2 p2 10", "a3 p3 1"], "test": ["b1 q1 2", "b2 q2 3"]}
    for part, lines in rows.items():
        text = "".join(line.replace(" ", "\t") + "\r\n" for line in lines)
        write(home / f"{part}set_txt_img_cat.list", text)
        for line in lines:
            article, picture, number = line.split()
            body = f"<?xml version='1.0'?>\n<article><text>Caf\xe9 &amp; {article}\nmore</text></article>"
            write(home / "texts" / f"{article}.xml", body, encoding="latin-1")
            if picture != "p2":
                photo(home / "images" / CLASSES[int(number) - 1] / f"{picture}.jpg", colour=(0, 90, 0))
    return tmp_path


def test_the_owners_pictures_and_articles_are_read_with_their_split(owners: Path) -> None:
    raw = Wiki().raw(owners)
    assert raw.ids.tolist() == [0, 2, 3, 4]
    assert (raw.train.tolist(), raw.query.tolist()) == ([0, 1], [2, 3])
    assert raw.texts[1] == "Café & a3 more"
    assert [CLASSES[c] for c in raw.labels.argmax(axis=1)] == ["art", "art", "biology", "geography"]
    assert raw.image(3).size == (8, 6)


def test_the_notes_name_missing_pairs(owners: Path) -> None:
    notes = Wiki().raw(owners).notes
    assert "dropped items without a picture: 1 (first: p2.jpg)" in notes
    assert any(note.startswith("pairs: found 4, expected 2866") for note in notes)


def test_a_malformed_line_is_named(owners: Path, write: Callable[..., Path]) -> None:
    write(owners / "wiki" / "wikipedia_dataset" / "testset_txt_img_cat.list", "b1\tq1\t2\nb2\tq2\t11\n")
    with pytest.raises(
        DataError, match=r"testset_txt_img_cat\.list: line 2 is 'b2 q2 11'; expected an article"
    ):
        Wiki().raw(owners)


def test_the_owners_features_take_their_classes_from_the_lists(tmp_path: Path) -> None:
    path = write(tmp_path, L_tr=None, L_te=None)
    home = tmp_path / "wiki"
    home.mkdir()
    path.rename(home / "raw_features.mat")
    for part, n in (("train", 2173), ("test", 693)):
        lines = "".join(f"t{i}\ti{i}\t{i % 10 + 1}\n" for i in range(n))
        (home / f"{part}set_txt_img_cat.list").write_text(lines)
    data = Wiki().load(tmp_path)
    validate_dataset(data)
    assert data.train.labels is not None
    assert (data.train.labels[12, 2], len(data.query)) == (1, 693)
    assert "classes come from the owners' lists" in data.notes
    assert Wiki().files(tmp_path)[0].name == "raw_features.mat"


def test_a_list_that_does_not_fit_the_features_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, L_tr=None, L_te=None)
    (tmp_path / "wiki").mkdir()
    path.rename(tmp_path / "wiki" / "raw_features.mat")
    for part in ("train", "test"):
        (tmp_path / "wiki" / f"{part}set_txt_img_cat.list").write_text("t\ti\t1\n")
    with pytest.raises(DataError, match="2173 rows and a list of 1 pairs"):
        Wiki().load(tmp_path)


def test_an_option_selects_views(owners: Path) -> None:
    with pytest.raises(DataError, match="has not been prepared"):
        Wiki(features="views").load(owners)


def test_a_list_cannot_name_articles_outside_its_folder(owners: Path, write: Callable[..., Path]) -> None:
    write(owners / "wiki" / "wikipedia_dataset" / "testset_txt_img_cat.list", "../../secret\tq1\t2\n")
    with pytest.raises(DataError, match=r"line 1 is '\.\./\.\./secret q1 2'; expected an article"):
        Wiki().raw(owners)


def test_doctor_warns_of_a_copy_without_pictures(owners: Path) -> None:
    for path in (owners / "wiki").rglob("*.jpg"):
        path.unlink()
    found = {f.topic: f for f in inventory.findings(Wiki(features="views"), owners)}
    assert found["raw files"].level == "WARN" and "none of the 5 pictures" in found["raw files"].text
    assert found["arrays"].level == "FAIL"
