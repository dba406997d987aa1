"""Codes that are all equal, or hardly differ, are noted in the record: their ranking says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import metrics
from bench.plugins import registry
from bench.records import RunRecord
from bench.scoring import hamming

TINY = Path(__file__).with_name("plugins") / "tiny.py"
METHOD = '''
import numpy as np
from bench.api import Capabilities, Method, sign

class Few(Method):
    """Codes that depend on no feature, but for those of ``image`` items if there are several."""

    codes: int = 1

    def fit_chunk(self, chunk):
        self.n_ = len(chunk)

    def encode(self, batch, modality):
        kinds = self.codes if modality == "image" else 1
        number = np.arange(len(batch.features))[:, None] % kinds
        return sign((number >> np.arange(self.bits)[None, :]) % 2 - 0.5)
'''


@pytest.fixture
def run(
    tmp_path: Path, plugin_file: Callable[[str, str], Path], monkeypatch: Any
) -> Callable[..., RunRecord]:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    few = plugin_file("few", METHOD)

    def one(**options: Any) -> RunRecord:
        given = {"methods": "few", "datasets": "tiny", "bits": "8", "seeds": 1, **options}
        plugins = [str(few), str(TINY)]
        [record] = bench.run(plugin=plugins, results=str(tmp_path / "runs"), **given).records
        return record

    return one


def test_equal_codes_are_noted_with_modality_and_number(run: Callable[..., RunRecord]) -> None:
    assert run().notes == (
        "constant image codes: all 12 query items have the same one",
        "constant image codes: all 60 database items have the same one",
        "constant text codes: all 12 query items have the same one",
        "constant text codes: all 60 database items have the same one",
    )


def test_only_the_modality_that_collapsed_is_noted(run: Callable[..., RunRecord]) -> None:
    assert [note for note in run(methods="few[codes=5]").notes if "image" in note] == []


def test_as_many_codes_as_the_data_have_label_sets_are_no_collapse(run: Callable[..., RunRecord]) -> None:
    assert [note for note in run(methods="few[codes=3]").notes if "image" in note] == []
    assert [note for note in run(methods="few[codes=2]").notes if "image" in note] == [
        "only 2 distinct image codes for 12 query items",
        "only 2 distinct image codes for 60 database items",
    ]


def test_the_note_is_in_the_table(run: Callable[..., RunRecord]) -> None:
    from bench.results import Results

    text = " ".join(Results([run()]).table().to_text(width=200).split())
    assert (
        "note: few on tiny, 8 bits, seed 0: constant image codes: all 12 query items have the same one"
        in text
    )


def test_constant_codes_are_marked_and_never_the_best(run: Callable[..., RunRecord]) -> None:
    from bench.results import Results

    table = Results([run(), run(methods="random_projection")]).table()
    [row] = [row for block in table.blocks for row in block.rows if row[0].text == "few"]
    assert all(entry.value is None and entry.extra.startswith("∅") for entry in row[1:])
    assert "∅ constant codes: the score says nothing, and is neither best nor second" in str(table)
    assert "∅" not in table.to_latex()


def test_codes_that_differ_and_vectors_are_not_noted(run: Callable[..., RunRecord]) -> None:
    assert run(methods="random_projection").notes == ()
    assert run(methods="float_features").notes == ()


@pytest.mark.parametrize("bits", [8, 64, 100])
def test_distinct_codes_are_counted_over_all_words(bits: int) -> None:
    codes = np.full((5, bits), -1, np.int8)
    codes[2, -1] = codes[4, 0] = 1
    assert hamming.distinct(hamming.pack_codes(codes)) == 3
    assert hamming.distinct(hamming.pack_codes(codes[:2])) == 1


@pytest.mark.parametrize(("distinct", "words"), [(1, "all 30 query codes"), (2, "only 2 of 30 query codes")])
def test_evaluate_warns_of_collapsed_codes(distinct: int, words: str) -> None:
    labels, database = np.arange(30) % 5, np.sign(np.random.default_rng(0).standard_normal((30, 16)))
    with pytest.warns(UserWarning, match=f"{words} are"):
        metrics.evaluate(database[np.arange(30) % distinct], database, labels, labels, metrics="map")
