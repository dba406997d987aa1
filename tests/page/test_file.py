"""The file that is written: one, small, the same each time, or none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import page
from bench.errors import ParameterError, StoreError
from bench.page import build
from bench.results import Results


def test_it_names_no_other_place(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:link|iframe|object|embed|base)\b|\bsrc=", text)


def test_it_is_small(page_file: Path) -> None:
    assert page_file.stat().st_size < 5_000_000


def test_equal_results_give_equal_files(page_file: Path, results: Results, tmp_path: Path) -> None:
    page.write(results, tmp_path / "again.html", data_root=tmp_path)
    assert (tmp_path / "again.html").read_bytes() == page_file.read_bytes()


def test_a_place_that_cannot_be_written_to_is_an_error_and_leaves_nothing(
    results: Results, tmp_path: Path
) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        page.write(results, tmp_path / "taken.html", data_root=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.html"]


def test_a_page_over_the_limit_is_not_written(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "LIMIT", 1000)
    with pytest.raises(StoreError, match="Select fewer"):
        page.write(results, tmp_path / "out.html", data_root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no records"):
        page.write(Results([]), tmp_path / "out.html", data_root=tmp_path)


def test_results_without_arrays_have_a_table_and_say_what_is_missing(
    results: Results, tmp_path: Path
) -> None:
    content = build.collect(Results(results.records), tmp_path)
    assert content["curves"] == {}
    assert "codes are read from there" in content["retrieval"]["tiny"]["why"]
