"""Cells whose queries are numbers: what tables say, what is refused, and what works without codes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import ParameterError
from bench.archive import verify
from bench.archive.codes import code_sets
from bench.archive.export import to_trec
from bench.archive.rescore import rescore
from bench.cli import main
from bench.errors import StoreError
from bench.plugins import registry
from bench.records import RunRecord
from bench.results import Results
from bench.scoring import asymmetric, hamming
from bench.storing.sense import nonsense
from bench.storing.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pq, rabitq and a hashing method on small generated pairs, with their models."""
    where = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(where / "cache"))
        bench.run(
            methods="pq,rabitq,random_projection",
            datasets="synthetic[n=300,queries=40]",
            bits="20",
            seeds=1,
            train="0.5",
            schedule="shuffled:100",
            keep_models=True,
            results=str(where / "runs"),
        )
    return where / "runs"


def table(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["table", "--results", str(folder), *words]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_table_marks_the_methods_and_says_their_distance(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = table(folder, capsys)
    assert "pqΔ" in text
    assert "rabitqΔ‡" in text
    assert "random_projectionΔ" not in text
    says = "Δ ranked by the sum of float32 values that a query has for the bytes of a code, not by Hamming "
    assert f"{says}distance; as many bits an item: pq" in text
    assert "times a factor in its last bits, not by Hamming distance; as many bits an item: rabitq" in text


def test_plain_numbers_have_a_column_with_the_distance(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    assert main(["table", "--results", str(folder), "--out", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        distances = {row["method"]: row["distance"] for row in csv.DictReader(file)}
    assert distances["pq"] == "codebook"
    assert distances["rabitq"] == "scaled dot"
    assert distances["random_projection"] == "hamming"


def test_they_are_rivals_of_hashing_methods(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no hashing" not in table(folder, capsys)


def test_a_stored_cell_passes_its_checks(folder: Path) -> None:
    assert not verify.check(Store(folder)).faults


def test_a_new_metric_comes_from_the_counts_and_a_radius_is_left_out(folder: Path) -> None:
    store = Store(folder)
    rescore(store, "map@17", data_root=Path())
    rescore(store, "precision@r3", data_root=Path())
    for record in store.records():
        names = record.rounds[-1].metrics
        assert "map@17/i2t" in names
        assert ("precision@r3/i2t" in names) == (record.spec.method == "random_projection")


def test_an_index_over_their_codes_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(folder), "--methods", "pq"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bench: no cell with stored codes to index: queries of pq are float32 numbers")
    assert len(said.strip().splitlines()) == 1


def test_their_codes_are_not_exported(folder: Path, tmp_path: Path) -> None:
    store = Store(folder)
    own = Results([r for r in store.records() if r.spec.method != "random_projection"], arrays=store.arrays)
    exports: list[Callable[[], object]] = [
        lambda: list(code_sets(own, tmp_path)),
        lambda: to_trec(own, tmp_path, tmp_path),
    ]
    for export in exports:
        with pytest.raises(StoreError, match="to export: queries of pq, rabitq are float32 numbers"):
            export()


def test_a_model_searches_as_its_run_did(folder: Path) -> None:
    """Codes of items and numbers of queries from the model give the counts that the run stored."""
    [path] = folder.glob("pq*.model")
    model, store = bench.load(path), Store(folder)
    [record] = [r for r in store.records() if r.spec.method == "pq"]
    arrays = store.arrays(record)
    data = registry.get("dataset", "synthetic")(n=300, queries=40).load(Path())
    rows = arrays["rows/database"].astype(int)[~arrays["rows/trained"].astype(bool)]
    hist = asymmetric.histograms(
        model.encode_query(data.query.image.features, "image"),
        hamming.pack_codes(model.encode(data.train.text.features[rows], "text")),
        hamming.pack_labels(data.query.labels),
        hamming.pack_labels(data.train.labels[rows]),
        bits=20,
    )
    last = record.rounds[-1].round
    np.testing.assert_array_equal(hist.counts, arrays[f"i2t/{last}/unseen/counts"])


def test_a_model_with_codes_of_queries_has_no_numbers(folder: Path) -> None:
    [path] = folder.glob("*random_projection*.model")
    items: Any = np.zeros((1, bench.load(path).facts.columns["image"]))
    with pytest.raises(ParameterError, match="Use encode"):
        bench.load(path).encode_query(items, "image")


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("pq", "ranks by the sum of float32 values that a query has for the bytes of a code (codebook)"),
        ("binary_clip", "ranks by the dot product of a float32 query with the bits of a code (dot)"),
    ],
)
def test_info_says_the_distance(method: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", method]) == 0
    assert says in capsys.readouterr().out


def test_a_rehash_by_mutual_information_of_hamming_distances_is_skipped(tmp_path: Path) -> None:
    (record,) = bench.run(
        methods="pq",
        datasets="synthetic[n=300,queries=40]",
        bits="16",
        seeds=1,
        rehash="trigger:0.1",
        results=str(tmp_path / "runs"),
    ).records
    assert record.status == "skipped"
    assert record.reason == "it compares by codebook, and rehash=trigger:0.1 weighs Hamming distances"


def test_a_record_with_an_unknown_distance_is_refused(folder: Path, tmp_path: Path) -> None:
    [record] = [r for r in Store(folder).records() if r.spec.method == "pq"]
    assert "record.distance is 'cosinus'; expected one of hamming" in nonsense(
        replace(record, distance="cosinus")
    )


def test_records_from_before_there_were_distances_are_read_as_hamming(folder: Path) -> None:
    [record] = [r for r in Store(folder).records() if r.spec.method == "random_projection"]
    stored = record.to_json()
    del stored["distance"]
    assert RunRecord.from_json(stored).distance == "hamming"


def test_numbers_of_another_form_fail_the_cell_with_one_line(tmp_path: Path) -> None:
    plugin = tmp_path / "odd.py"
    plugin.write_text(
        "from bench.api import Capabilities, Method, Source, sign\n\n\n"
        "class Odd(Method):\n"
        '    """Odd."""\n\n'
        '    capabilities = Capabilities(distance="dot")\n'
        '    source = Source(note="a test")\n\n'
        "    def fit_chunk(self, chunk):\n"
        "        pass\n\n"
        "    def encode(self, batch, modality):\n"
        "        return sign(batch.features[:, : self.bits])\n\n"
        "    def encode_query(self, batch, modality):\n"
        "        return batch.features.tolist()\n"
    )
    (record,) = bench.run(
        methods="odd",
        datasets="synthetic[n=300,queries=40]",
        bits="16",
        seeds=1,
        plugin=[str(plugin)],
        contract=False,
        results=str(tmp_path / "runs"),
    ).records
    assert record.status == "failed"
    assert "Odd.encode_query() returned a list; expected finite float32 (40, 16)" in record.reason
