"""Fashion Product Images: a miniature copy, and the real table with its 24,000 photos."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Raw
from bench.datasets.fashion import Fashion
from bench.errors import DataError

Write = Callable[..., Path]
HEAD = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Five products: 4 has a kind of its own, 5 no title, 6 no photo; 3 has a comma in its title."""
    rows = [
        "1,Men,Apparel,Topwear,Tshirts,Red,Fall,2011,Casual,A red shirt",
        "2,Men,Apparel,Topwear,Tshirts,Blue,Fall,2011,Casual,A blue shirt",
        "3,Men,Apparel,Shoes,Shoes,Red,Fall,2011,Casual,Shoes, red",
        "4,Men,Apparel,Ties,Ties,Red,Fall,2011,Casual,A caf\xe9 tie",
        "5,Men,Apparel,Shoes,Shoes,Red,Fall,2011,Casual,",
        "6,Men,Apparel,Shoes,Shoes,Red,Fall,2011,Casual,Lost",
        "7,Men,Apparel,Shoes,Shoes,NA,Fall,2011,Casual,More shoes",
    ]
    write(tmp_path / "fashion" / "styles.csv", "\r\n".join([HEAD, *rows, ""]), encoding="latin-1")
    for number in (1, 2, 3, 4, 5, 7):
        photo(tmp_path / "fashion" / "images" / f"{number}.jpg", colour=(number * 30, 0, 0))
    return tmp_path


def parsed(root: Path, **options: Any) -> Raw:
    return Fashion(**{"queries": 1, "least": 2} | options).raw(root)


def test_products_with_a_frequent_kind_a_title_and_a_photo_are_kept(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.ids.tolist() == [1, 2, 3, 7]
    assert raw.classes == ("subCategory=Shoes", "subCategory=Topwear")
    assert raw.labels.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_colours_can_be_labels_too(copy: Path) -> None:
    raw = parsed(copy, labels="subCategory+baseColour")
    assert raw.classes == ("subCategory=Shoes", "subCategory=Topwear", "baseColour=Red")
    assert raw.ids.tolist() == [1, 2, 3, 4, 7]
    assert raw.labels[2].tolist() == [1, 0, 1]


def test_the_parent_of_a_kind_is_its_usual_master_category(copy: Path) -> None:
    path = copy / "fashion" / "styles.csv"
    text = path.read_text(encoding="latin-1").replace("3,Men,Apparel,Shoes", "3,Men,Footwear,Shoes")
    path.write_text(text.replace("7,Men,Apparel,Shoes", "7,Men,Footwear,Shoes"), encoding="latin-1")
    raw = parsed(copy, labels="subCategory+baseColour")
    assert raw.classes == ("subCategory=Shoes", "subCategory=Topwear", "baseColour=Red")
    assert raw.parents == ("Footwear", "Apparel", "")


def test_years_and_seasons_are_time_columns(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.times["year"].tolist() == [2011.0] * len(raw.ids)
    assert raw.times["season"].tolist() == ["Fall"] * len(raw.ids)


def test_a_title_may_contain_a_comma_and_latin_1(copy: Path) -> None:
    raw = parsed(copy, labels="subCategory+baseColour")
    assert list(raw.texts)[2:4] == ["Shoes, red", "A café tie"]


def test_an_unclosed_quote_swallows_no_other_row(copy: Path) -> None:
    path = copy / "fashion" / "styles.csv"
    path.write_text(
        path.read_text(encoding="latin-1").replace(",A red shirt", ',"A red shirt'), encoding="latin-1"
    )
    raw = parsed(copy)
    assert raw.ids.tolist() == [1, 2, 3, 7]
    assert raw.texts[:2] == ["A red shirt", "A blue shirt"]


def test_a_copy_without_photos_is_refused(copy: Path) -> None:
    for path in (copy / "fashion" / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"fashion: has none of the 6 pictures \(first: 1\.jpg\)"):
        parsed(copy)


def test_dropped_products_are_noted(copy: Path) -> None:
    notes = parsed(copy).notes
    assert "dropped rows of styles.csv without a number or a title, or repeated: 1" in notes
    assert "dropped items without a picture: 1 (first: 6.jpg)" in notes
    assert "dropped products without a label of 2 products: 1" in notes


def test_photos_are_read_from_a_zip(copy: Path) -> None:
    folder = copy / "fashion" / "images"
    with zipfile.ZipFile(copy / "fashion" / "photos.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"archive/{path.name}")
            path.unlink()
    pixel = parsed(copy).image(1).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 60) < 5


def test_another_table_is_refused(copy: Path, write: Write) -> None:
    write(copy / "fashion" / "styles.csv", "id,name\n1,a\n")
    with pytest.raises(DataError, match=r"styles\.csv: begins with id,name; expected the columns id, gender"):
        parsed(copy)


def test_the_real_table_gives_22_kinds_and_22_colours(real: Callable[[str], Path]) -> None:
    root = real("fashion/styles.csv").parents[1]
    raw = Fashion().raw(root)
    assert (len(raw.ids), len(raw.classes), len(raw.query)) == (23_443, 22, 2000)
    assert raw.labels.sum(axis=1).max() == 1
    assert len(Fashion(labels="subCategory+baseColour").raw(root).classes) == 44


@pytest.mark.slow
def test_all_the_real_photos_decode_in_one_pass(
    real: Callable[[str], Path], record_property: Callable[[str, object], None]
) -> None:
    """The rate, on one core, is in the report that --junit-xml writes."""
    raw = Fashion(least=1).raw(real("fashion/images_60x80.zip").parents[1])
    assert len(raw.ids) == 24_000
    start = time.perf_counter()
    sizes, means = set(), np.empty(len(raw.ids))
    for row in range(len(raw.ids)):
        image = raw.image(row)
        sizes.add(image.size)
        means[row] = np.asarray(image).mean()
    seconds = time.perf_counter() - start
    record_property("photos per second", round(len(raw.ids) / seconds))
    assert (60, 80) in sizes
    assert means.std() > 1


def test_files_become_views_and_a_table(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole path, as a user types it: parse, extract light views, run a method on them."""
    from bench.cli import main

    monkeypatch.setenv("BENCH_CACHE", str(copy / "cache"))
    monkeypatch.setenv("BENCH_RESULTS", str(copy / "runs"))
    dataset = "fashion[least=2,queries=1,image=colour,text=bow:1,clip=none]"
    assert main(["data", "prepare", dataset, "--data-root", str(copy)]) == 0
    prepared = capsys.readouterr().out
    assert "3 train and 1 query pairs, 2 classes" in prepared
    assert "ready: bench run --datasets 'fashion[clip=None,image=colour,least=2," in prepared
    words = ["--datasets", dataset, "--methods", "random_projection", "--bits", "8", "--seeds", "1"]
    assert main(["run", *words, "--data-root", str(copy)]) == 0
    assert "random_projection" in capsys.readouterr().out
