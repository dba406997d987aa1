"""Whose algorithm a setting of a method is, and what a method adds to its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import bench
from bench.api import Batch, Chunk, Codes, Method, Modality, Source, param, sign
from bench.contract.method import fidelity
from bench.plugins import registry
from bench.records import origin

PLUGINS = Path(__file__).with_name("plugins")
MINE = '''
from bench.api import Method, Source, param, sign

class Mine(Method):
    """Signs of the features."""

    width: int = param(3, "of nothing")
    source = Source(paper="M. Mine. Mine. 2020", fidelity="authors' algorithm")
    presets = {"authors": {"width": 5}}

    def fit_chunk(self, chunk):
        self.rows_ = len(chunk)

    def encode(self, batch, modality):
        return sign(batch.features[:, : self.bits])

    def notes(self):
        return [f"{self.rows_} items came last"]
'''


class Signs(Method):
    """Signs of the features."""

    anchors: int = param(300, "of nothing", least=0)
    weight: float = param(1.0, "of nothing")
    once: bool = param(True, "of nothing")

    source = Source(paper="S. Signs. Signs. 2020", fidelity="authors' algorithm")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"once": False, "anchors": 1000},
        "authors_large": {"once": False, "anchors": 5000, "weight": 2.0},
        "quick": {"anchors": 10},
    }

    def fit_chunk(self, chunk: Chunk) -> None: ...

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, : self.bits])


class Adapted(Signs):
    """Signs of the features, adapted."""

    source = Source(paper="S. Signs. Signs. 2020", fidelity="adaptation")


class Alone(Signs):
    """Signs of the features, with nothing to choose."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {"anchors": 10}}


def test_a_default_that_is_not_the_authors_setting_is_modified_and_says_how() -> None:
    assert fidelity(Signs, {}) == "modified (anchors=300, once=True)"


@pytest.mark.parametrize("preset", ["authors", "authors_large"])
def test_a_preset_of_the_authors_is_their_algorithm(preset: str) -> None:
    assert fidelity(Signs, Signs.presets[preset]) == "authors' algorithm"


def test_the_difference_is_that_from_the_nearest_preset_of_the_authors() -> None:
    assert fidelity(Signs, {"once": False, "anchors": 5000}) == "modified (anchors=5000)"


def test_a_parameter_that_no_preset_of_the_authors_sets_is_free() -> None:
    assert fidelity(Signs, {**Signs.presets["authors"], "weight": 9.0}) == "authors' algorithm"


def test_an_adaptation_is_one_in_any_setting() -> None:
    assert {fidelity(Adapted, values) for values in ({}, Signs.presets["authors"])} == {"adaptation"}


def test_without_a_preset_of_the_authors_the_source_has_the_word() -> None:
    assert fidelity(Alone, {"anchors": 10}) == "authors' algorithm"


def test_words_for_a_modified_algorithm_keep_the_difference() -> None:
    assert origin("modified (once=True)") == "the authors' algorithm, modified (once=True)"


@pytest.mark.parametrize("name", ["rohlse", "oscmfh", "docmh", "ohpkl", "ocmfh", "lemon", "doch", "ocean"])
def test_of_built_in_methods_only_the_preset_is_the_authors_algorithm(name: str) -> None:
    cls = registry.get("method", name)
    assert fidelity(cls, {}).startswith("modified (")
    assert fidelity(cls, cls.presets["authors"]) == "authors' algorithm"


def test_a_record_has_the_fidelity_of_its_setting_and_the_notes_of_its_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    results = bench.run(
        methods="mine,mine[preset=authors]",
        datasets="tiny",
        bits="4",
        seeds=1,
        train="all",
        schedule="shuffled:20",
        results=str(tmp_path / "runs"),
        plugin=[str(tmp_path / "mine.py"), str(PLUGINS / "tiny.py")],
    )
    assert {r.spec.label: (r.fidelity, r.notes) for r in results.records} == {
        "mine": ("modified (width=3)", ("20 items came last",)),
        "mine[width=5]": ("authors' algorithm", ("20 items came last",)),
    }
