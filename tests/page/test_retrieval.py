"""The sample of queries: what is taken along, and what is said where nothing can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.page import retrieval
from bench.results import Results

pytestmark = pytest.mark.usefixtures("plugins")


def of(results: Results, dataset: str) -> Results:
    return Results([r for r in results.records if r.spec.dataset == dataset], arrays=results.evidence)


def spent(sample: dict[str, Any]) -> int:
    return sum(len(item.get("image", "")) for item in sample["items"].values())


def test_queries_are_taken_along_as_far_as_their_pictures_fit(results: Results, tmp_path: Path) -> None:
    pictures = of(results, "pictures")
    whole = retrieval.collect(pictures, tmp_path, 10**6)["pictures"]
    part = retrieval.collect(pictures, tmp_path, spent(whole) - 1)["pictures"]
    assert 0 < len(part["queries"]) < len(whole["queries"]) == 10
    assert spent(part) < spent(whole)
    assert retrieval.collect(pictures, tmp_path, 0)["pictures"]["queries"] == []


def test_an_item_has_its_own_text_and_labels(results: Results, tmp_path: Path) -> None:
    sample = retrieval.collect(of(results, "pictures"), tmp_path, 10**6)["pictures"]
    for name, item in sample["items"].items():
        row = int(name[1:]) + (50 if name[0] == "q" else 0)
        assert item["id"] == str(row + 100)
        assert item["labels"] == [row % 4]
        assert item["text"].endswith(f"sheet {row}")


def test_a_dataset_that_has_changed_since_has_no_viewer(results: Results, tmp_path: Path) -> None:
    changed = Results(
        [replace(r, data="other") for r in of(results, "tiny").records], arrays=results.evidence
    )
    assert "has changed since these cells were run" in retrieval.collect(changed, tmp_path, 1)["tiny"]["why"]


def test_vectors_ranked_by_cosine_have_no_viewer(results: Results, tmp_path: Path) -> None:
    records = [r for r in of(results, "tiny").records if r.reference]
    found = retrieval.collect(Results(records, arrays=results.evidence), tmp_path, 1)
    assert "No cell of this dataset has binary codes" in found["tiny"]["why"]


def test_every_method_is_there_once_before_any_has_a_second_code_length(results: Results) -> None:
    chosen = retrieval._chosen(of(results, "tiny").records)
    first = [(r.spec.label, r.spec.database) for r in chosen[: len(chosen) // 2]]
    assert len(set(first)) == len(first) == 3


@pytest.mark.parametrize(("text", "shown"), [("a\n b", "a b"), ("x" * 300, "x" * 199 + "…")])
def test_a_long_text_is_cut_to_a_line(text: str, shown: str) -> None:
    assert retrieval.shortened(text) == shown
