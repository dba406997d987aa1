"""ROCO: a miniature copy as its owners' scripts leave it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.datasets.roco import Roco
from bench.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Figure 5 has no keyword of a class; the figure of 3 was not fetched."""
    figures = {
        "train": {1: "ct\tchest", 2: "mri\tbrain\tmas", 3: "ct"},
        "test": {4: "radiograph\tpelvi\tfracture", 5: "view"},
    }
    for part, known in figures.items():
        folder = tmp_path / "roco" / "data" / part / "radiology"
        rows = {number: f"ROCO_{number:05}" for number in known}
        write(folder / "captions.txt", "".join(f"{rows[n]}\t Figure  {n}.\n" for n in known))
        write(folder / "keywords.txt", "".join(f"{rows[n]}\t\t{words}\n" for n, words in known.items()))
        licences = [f"{rows[n]},PMC{n}_g1.jpg,CC BY" for n in known]
        write(folder / "licences.txt", "\n".join(["ROCO_ID,PMC_ID,CC", *licences, ""]))
        for n in known:
            if n != 3:
                photo(folder / "images" / f"PMC{n}_g1.jpg", colour=(n, 0, 0))
    return tmp_path


def test_keywords_give_classes(copy: Path) -> None:
    raw = Roco().raw(copy)
    rows = [[raw.classes[c] for c in np.flatnonzero(row)] for row in raw.labels]
    assert rows == [["ct", "chest"], ["mri", "head", "tumour"], ["x-ray", "pelvis", "fracture"]]


def test_train_is_the_stream_and_test_the_queries(copy: Path) -> None:
    raw = Roco().raw(copy)
    assert (raw.ids[raw.train].tolist(), raw.ids[raw.query].tolist()) == ([1, 2], [4])


def test_captions_are_texts(copy: Path) -> None:
    assert Roco().raw(copy).texts == ["Figure 1.", "Figure 2.", "Figure 4."]


def test_pictures_are_those_that_the_licences_name(copy: Path) -> None:
    red = Roco().raw(copy).image(2).getpixel((0, 0))[0]
    assert abs(red - 4) <= 2


def test_what_is_left_out_is_noted(copy: Path) -> None:
    assert Roco().raw(copy).notes == (
        "left out, without a label or a caption: 1",
        "dropped items without a picture: 1 (first: PMC3_g1.jpg)",
    )


def test_a_copy_without_test_figures_is_refused(copy: Path) -> None:
    (copy / "roco/data/test/radiology/images/PMC4_g1.jpg").unlink()
    with pytest.raises(DataError, match="0 of 2 figures belong to test"):
        Roco().raw(copy)


def test_a_wrong_row_of_licences_is_named(copy: Path, write: Write) -> None:
    write(copy / "roco/data/test/radiology/licences.txt", "ROCO_ID,PMC_ID,CC\nx,y,z\n")
    with pytest.raises(DataError, match=r"licences\.txt: has the row \['x', 'y', 'z'\]"):
        Roco().raw(copy)


def test_a_prepared_copy_keeps_the_contract(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(copy / "cache"))
    words = ["roco[image=colour,text=bow:1,clip=none]", "--data-root", str(copy)]
    assert main(["data", "prepare", *words]) == 0
    assert main(["check", *words]) == 0
