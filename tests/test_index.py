"""Indexes over stored codes are measured, stored beside their cell, and read back strictly."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.archive.merge import merge
from bench.cli import indexing, main
from bench.errors import StoreError
from bench.indexing import engines, measure
from bench.plugins import registry
from bench.records import IndexRecord
from bench.running import sweep
from bench.scoring import hamming
from bench.storing import indexes
from bench.storing.store import Store

pytest.importorskip("faiss")
ITEMS, QUERIES = 600, 30


@pytest.fixture(autouse=True)
def own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_extra", {})


def _run(folder: Path, **axes: Any) -> None:
    cell: dict[str, Any] = {"methods": "random_projection", "bits": 20, "seeds": 1}
    cell["datasets"] = f"synthetic[n={ITEMS},queries={QUERIES}]"
    sweep.run(results=str(folder), **(cell | axes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell with its measured indexes."""
    made = tmp_path_factory.mktemp("runs")
    _run(made)
    assert main(["index", str(made)]) == 0
    return made


def _stored(folder: Path) -> tuple[Path, IndexRecord]:
    [path] = folder.glob("*.index")
    return path, indexes.read(path)


def _codes(items: int, width: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 2, (items, width), np.uint8)


def _distances(a: Any, b: Any) -> Any:
    return (a[:, None] != b[None]).sum(axis=2)


@pytest.mark.parametrize("bits", [3, 20, 64, 130])
def test_the_scan_ranks_as_bits_do_and_ties_by_number(bits: int) -> None:
    database, queries = _codes(70, bits, 0), _codes(9, bits, 1)
    scan = engines.Scan(np.packbits(database, axis=1), 7)
    distances, rows = scan.search(np.packbits(queries, axis=1), 25, 2)
    exact = _distances(queries, database)
    order = np.argsort(exact, axis=1, kind="stable")[:, :25]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(distances, np.take_along_axis(exact, order, axis=1))


def test_expected_recall_is_the_mean_over_orders_of_ties() -> None:
    database, queries = _codes(40, 4, 2), _codes(5, 4, 3)
    exact = _distances(queries, database)
    wanted = np.stack([np.random.default_rng(q).permutation(40)[:30] for q in range(5)])
    counts = np.stack([np.bincount(row, minlength=5) for row in exact])
    packed = hamming.pack_codes(queries), hamming.pack_codes(database)
    expected = measure._expected_recall(*packed, counts, wanted)
    rng, shares = np.random.default_rng(4), []
    for _ in range(4000):
        ranked = np.lexsort((rng.random(exact.shape), exact), axis=1)[:, :10]
        shares.append([len(set(ranked[q]) & set(wanted[q, :10])) / 10 for q in range(5)])
    assert expected["10"] == pytest.approx(np.mean(shares), abs=0.005)


def test_an_exact_search_finds_every_nearest_item(folder: Path) -> None:
    _, index = _stored(folder)
    exact = [s for s in index.searches if s.index in ("scan", "flat")]
    assert len(exact) == 4
    assert all(set(s.recall.values()) == {1.0} for s in exact)


def test_one_list_of_kinds_serves_measuring_reading_and_asking() -> None:
    assert tuple(engines.KINDS) == indexes.KINDS == indexing._KINDS


def test_the_scan_needs_no_faiss_and_others_say_so_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(tmp_path)
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert main(["index", str(tmp_path), "--index", "scan"]) == 0
    _, index = _stored(tmp_path)
    assert {s.index for s in index.searches} == {"scan"}
    assert "faiss" not in index.environment
    monkeypatch.setattr(engines.Scan, "__init__", lambda *_: pytest.fail("measured before it was checked"))
    assert main(["index", str(tmp_path), "--index", "scan,ivf"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_more_probes_find_no_less(folder: Path) -> None:
    _, index = _stored(folder)
    probes = [s.recall["10"] for s in index.searches if s.index == "ivf" and s.direction == "i2t"]
    assert len(probes) > 1
    assert probes == sorted(probes)
    assert probes[-1] == 1


def test_every_kind_is_measured_in_both_directions(folder: Path) -> None:
    _, index = _stored(folder)
    assert {(s.index, s.direction) for s in index.searches} == {
        (kind, direction) for kind in indexes.KINDS for direction in ("i2t", "t2i")
    }
    assert index.items == ITEMS and index.queries == QUERIES


def test_latencies_rest_on_a_thousand_queries_alone_and_by_as_many_clients_as_cores(
    folder: Path,
) -> None:
    asked: list[int] = []

    class Engine:
        def search(self, queries: Any, k: int, threads: int) -> None:
            asked.append(len(queries) * threads)

    for clients in (1, 3):
        waits = measure._latencies(Engine(), _codes(7, 8, 0), 10, clients)  # type: ignore[arg-type]
        assert len(waits) == 1000
    assert asked == [1] * 2000
    assert all(0 < s.busy_p50 <= s.busy_p99 for s in _stored(folder)[1].searches if s.busy_p50 and s.busy_p99)


def test_precision_is_the_share_of_relevant_items_among_the_returned(folder: Path) -> None:
    store = Store(folder)
    [record] = store.records()
    scan = next(s for s in _stored(folder)[1].searches if (s.index, s.direction) == ("scan", "i2t"))
    data = registry.get("dataset", "synthetic")(n=ITEMS, queries=QUERIES).load(folder)
    arrays = store.arrays(record)
    query, database = (
        hamming.unpack_codes(arrays[f"codes/{side}"], 20) for side in ("query/image", "database/text")
    )
    near = np.argsort(_distances(query, database), axis=1, kind="stable")[:, :10]
    labels = data.train.labels[arrays["rows/database"]]
    shared = (data.query.labels[:, None] & labels[near]).any(axis=2)
    assert scan.precision["10"] == pytest.approx(shared.mean())


def test_the_view_clip_gives_a_recall(folder: Path) -> None:
    _, index = _stored(folder)
    recall = index.clip_recall["i2t"]
    assert set(recall) == {"1", "10", "100"}
    assert 0 < recall["100"] < 1


def test_a_kept_model_gives_the_recall_of_its_outputs(tmp_path: Path) -> None:
    """By hand: the outputs of a random projection, ranked by cosine, against all orders of tied codes."""
    _run(tmp_path, keep_models=True)
    assert main(["index", str(tmp_path), "--index", "scan"]) == 0
    [file] = tmp_path.glob("*.model")
    data = registry.get("dataset", "synthetic")(n=ITEMS, queries=QUERIES).load(tmp_path)
    arrays = Store(tmp_path).arrays(Store(tmp_path).records()[0])
    text = data.train.take(arrays["rows/database"].astype(int)).text.features
    values = [
        bench.load(file).outputs(*asked) for asked in ((data.query.image.features, "image"), (text, "text"))
    ]
    query, database = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in values if v is not None)
    nearest = np.argsort(-query @ database.T, axis=1)[:, :10]
    away = _distances(query >= 0, database >= 0)
    chances = []
    for q in range(QUERIES):
        limit = np.sort(away[q])[9]
        free = 10 - (away[q] < limit).sum()
        share = np.where(away[q] < limit, 1, (away[q] == limit) * free / (away[q] == limit).sum())
        chances.append(share[nearest[q]].mean())
    assert _stored(tmp_path)[1].output_recall["i2t"]["10"] == pytest.approx(np.mean(chances), abs=1e-6)


@pytest.mark.parametrize("axes", [{}, {"keep_models": True, "database": "learned", "methods": "lemon"}])
def test_codes_that_no_kept_model_gives_have_no_recall_of_outputs(
    tmp_path: Path, axes: dict[str, Any]
) -> None:
    _run(tmp_path, **axes)
    assert main(["index", str(tmp_path), "--index", "scan"]) == 0
    assert _stored(tmp_path)[1].output_recall == {}


@pytest.mark.parametrize("val", [0, 60])
def test_only_the_queries_that_a_cell_asked_are_searched(tmp_path: Path, val: int) -> None:
    """Where classes are kept out of training, queries without one of them are not asked."""
    _run(tmp_path, unseen_classes=0.3, val=val, train="0.5")
    assert main(["index", str(tmp_path), "--index", "scan"]) == 0
    [record] = Store(tmp_path).records()
    assert _stored(tmp_path)[1].queries == record.rounds[-1].queries < (val or QUERIES)


def test_a_measured_cell_is_not_measured_again(folder: Path) -> None:
    path, _ = _stored(folder)
    before = path.read_bytes()
    assert main(["index", str(folder), "--index", "flat"]) == 0
    assert path.read_bytes() == before
    assert main(["index", str(folder), "--index", "flat", "--force"]) == 0
    assert path.read_bytes() != before


def test_a_missing_kind_is_measured_with_those_that_are_known(tmp_path: Path) -> None:
    _run(tmp_path)
    for kind in ("flat", "scan"):
        assert main(["index", str(tmp_path), "--index", kind, "--queries", "3"]) == 0
    _, index = _stored(tmp_path)
    assert {s.index for s in index.searches} == {"flat", "scan"}
    assert index.queries == 3


def test_indexes_of_earlier_codes_count_as_none(folder: Path) -> None:
    store = Store(folder)
    [record] = store.records()
    assert store.index(record) is not None
    assert store.index(record.with_arrays("other.npz")) is None


def test_a_merged_cell_keeps_its_indexes(folder: Path, tmp_path: Path) -> None:
    merge([Store(folder)], Store(tmp_path))
    assert _stored(tmp_path)[1] == _stored(folder)[1]


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda stored: stored.pop(name)


def _with(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda stored: stored["searches"][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_without("items"), "index.items is missing"),
        (lambda stored: stored.update(schema=99), "index.schema is 99; expected 1"),
        (lambda stored: stored.update(items=0), "a count below 1"),
        (_with("index", "magic"), "expected one of scan, flat, ivf, hnsw, multihash"),
        (_with("recall", {"1": 2.0}), "expected recall and precision at the same k"),
        (lambda stored: stored["clip_recall"]["i2t"].update({"1": 2.0}), "expected a share from 0 to 1"),
        (_with("p50", -1.0), "search scan has -1.0; expected a number from 0"),
        (_with("p99", float("nan")), "search scan has nan"),
        (_with("busy_p99", float("nan")), "search scan has nan"),
        (_with("rates", {}), "expected queries per second on 1 thread"),
        (_with("rates", {"1": 9.0, "all": 9.0}), "expected numbers of threads; got 1, all"),
        (_with("more", 1), "is no field of SearchRecord"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    path, _ = _stored(folder)
    stored = json.loads(path.read_text())
    change(stored)
    bad = tmp_path / "bad.index"
    bad.write_text(json.dumps(stored))
    with pytest.raises(StoreError, match="Measure it again: bench index") as raised:
        indexes.read(bad)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--index", "flat,magic"], "no kind of index named 'magic'"),
        (["--queries", "0"], "--queries 0: expected at least 1"),
        (["--bits", "4096"], "no cell with stored codes to index"),
    ],
)
def test_bad_input_is_refused(
    folder: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(folder), *words]) == 2
    assert expected in capsys.readouterr().err


def test_the_codes_of_another_dataset_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(tmp_path)
    [record] = Store(tmp_path).records()
    [path] = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace(record.data, "0" * len(record.data)))
    assert main(["index", str(tmp_path)]) == 2
    assert "synthetic is not the dataset of this run" in capsys.readouterr().err


def test_the_commands_show_the_stored_facts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(folder), "--report", "index", "--option", "recall=0.5"]) == 0
    assert "each index at the cheapest setting that reaches recall@10 ≥ 0.5" in capsys.readouterr().out
    assert main(["choose", str(folder), "--recall", "0.5", "--latency", "9s", "--memory", "1MB"]) == 0
    assert "take random_projection at 20 bits with " in capsys.readouterr().out
    assert main(["cost", str(folder), "--inserts", "1e3/h"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "EXTRAPOLATED to 1e3/h inserts, 100/s queries, 1/day rehashes" in printed
    assert "holds 720,000 items after the month" in printed


def test_a_damaged_file_is_named_and_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    _run(tmp_path)
    words = ["index", str(tmp_path), "--index", "scan", "--queries", "3"]
    assert main(words) == 0
    path, before = _stored(tmp_path)
    path.write_text("{")
    assert main(["choose", str(tmp_path)]) == 2
    assert f"{path}: it is cut short or not JSON" in caplog.text
    assert "Run `bench index`" in capsys.readouterr().err
    assert main(words) == 0
    assert _stored(tmp_path)[1].arrays == before.arrays


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["choose", "--memory", "64"], "memory=64: expected a number above 0 with a unit (B, kB, MB)"),
        (["choose", "--recall", "2"], "recall=2: expected a share above 0 and at most 1"),
        (["cost", "--inserts", "1e6"], "inserts=1e6: expected a number per s, min, h, day, month"),
    ],
)
def test_limits_and_rates_are_checked(
    folder: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([words[0], str(folder), *words[1:]]) == 2
    assert expected in capsys.readouterr().err
