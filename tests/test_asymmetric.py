"""bench.scoring.asymmetric: numbers of queries against codes, through the harness and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import check_method, metrics
from bench.api import (
    Batch,
    Capabilities,
    Chunk,
    Codes,
    ContractError,
    Features,
    Method,
    Modality,
    Source,
    sign,
)
from bench.plugins import registry
from bench.protocol import shown
from bench.protocol.outputs import validate_query
from bench.protocol.seeds import derive_seed
from bench.scoring import asymmetric, hamming
from bench.scoring.cosine import STEPS
from bench.storing.store import Store

Array = np.ndarray[Any, Any]


def labels(n: int, seed: int) -> Array:
    return (np.random.default_rng(seed).random((n, 4)) < 0.4).astype(np.uint8)


def codes(n: int, bits: int, seed: int = 0) -> Array:
    return np.where(np.random.default_rng(seed).random((n, bits)) < 0.5, 1, -1).astype(np.int8)


def search(asked: Array, items: Array, *, scaled: bool = False, threads: int = 1) -> hamming.Histograms:
    """The histograms of queries over items, with labels that :func:`labels` draws."""
    return asymmetric.histograms(
        asked,
        hamming.pack_codes(items),
        hamming.pack_labels(labels(len(asked), 1)),
        hamming.pack_labels(labels(len(items), 2)),
        bits=items.shape[1],
        scaled=scaled,
        threads=threads,
    )


def relevance(queries: int, items: int) -> Array:
    return labels(queries, 1).astype(int) @ labels(items, 2).T > 0


def average_precisions(distance: Array, relevant: Array) -> Array:
    """Average precision of each query by an explicit ranking, written without the harness."""
    values = []
    for row, good in zip(distance, relevant, strict=True):
        ranked = good[np.argsort(row, kind="stable")]
        hits = np.flatnonzero(ranked)
        values.append(np.mean(np.arange(1, len(hits) + 1) / (hits + 1)) if len(hits) else np.nan)
    return np.array(values)


def looked_up(tables: Array, items: Array) -> Array:
    """Distances (q, n) by a loop over the bytes of the codes."""
    octets = np.packbits(items > 0, axis=1)
    return np.array([[sum(t[m, o[m]] for m in range(len(o))) for o in octets] for t in tables.astype(float)])


@pytest.mark.parametrize("bits", [21, 24, 70])
def test_average_precision_of_dot_products_is_that_of_an_explicit_ranking(bits: int) -> None:
    items = codes(300, bits)
    asked = np.random.default_rng(3).standard_normal((20, bits)).astype(np.float32)
    got = metrics.per_query("map", search(asked, items))
    expected = average_precisions(-asked.astype(float) @ items.T, relevance(20, 300))
    np.testing.assert_allclose(got, expected, atol=5e-3)
    assert np.nanmean(got) == pytest.approx(np.nanmean(expected), abs=5e-4)


@pytest.mark.parametrize("bits", [12, 24, 70])
def test_average_precision_of_scaled_dot_products_is_that_of_an_explicit_ranking(bits: int) -> None:
    items, held = codes(300, bits), min(8, bits // 2)
    asked = np.random.default_rng(3).standard_normal((20, bits - held)).astype(np.float32)
    factor = [int("".join("1" if b > 0 else "0" for b in row[-held:]), 2) / (2**held - 1) for row in items]
    distance = -asked.astype(float) @ items[:, :-held].T * factor
    got = metrics.per_query("map", search(asked, items, scaled=True))
    expected = average_precisions(distance, relevance(20, 300))
    assert np.nanmean(got) == pytest.approx(np.nanmean(expected), abs=5e-4)


@pytest.mark.parametrize("bits", [21, 24, 70])
def test_average_precision_of_looked_up_distances_is_that_of_an_explicit_ranking(bits: int) -> None:
    items = codes(300, bits)
    tables = np.random.default_rng(3).random((20, -(-bits // 8), 256)).astype(np.float32)
    got = metrics.per_query("map", search(tables, items))
    expected = average_precisions(looked_up(tables, items), relevance(20, 300))
    np.testing.assert_allclose(got, expected, atol=5e-3)
    assert np.nanmean(got) == pytest.approx(np.nanmean(expected), abs=5e-4)


@pytest.mark.parametrize("bits", [8, 16, 64])
def test_signs_as_numbers_of_queries_count_as_hamming_distances(bits: int) -> None:
    """At 2^k bits every distance falls on a step of its own, so the counts are those of the distances."""
    query, items = codes(30, bits, seed=4), codes(200, bits)
    steps = search(query.astype(np.float32), items)
    exact = hamming.histograms(
        hamming.pack_codes(query),
        hamming.pack_codes(items),
        hamming.pack_labels(labels(30, 1)),
        hamming.pack_labels(labels(200, 2)),
        bits=bits,
        graded=True,
    )
    np.testing.assert_array_equal(steps.counts[:, :: STEPS // bits], exact.counts)
    assert steps.counts.sum() == exact.counts.sum()
    assert steps.gains is not None
    np.testing.assert_array_equal(steps.gains[:, :: STEPS // bits], exact.gains)
    np.testing.assert_array_equal(steps.grades, exact.grades)


def test_equal_distances_are_ties() -> None:
    items = np.repeat(codes(3, 16), 50, axis=0)
    hist = search(np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32), items)
    assert ((hist.counts[:, :, 0] > 0).sum(axis=1) == 3).all()


def test_a_query_without_any_preference_ties_all_items() -> None:
    hist = search(np.zeros((2, 16), np.float32), codes(60, 16))
    np.testing.assert_array_equal(hist.counts[:, 0, 0], [60, 60])


def test_counts_of_two_parts_of_a_database_add_up_to_those_of_the_whole() -> None:
    items, asked = codes(80, 16), np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    mine, theirs = hamming.pack_labels(labels(5, 1)), labels(80, 2)
    rows = [np.arange(30), np.arange(30, 80)]
    parts = [
        asymmetric.histograms(
            asked, hamming.pack_codes(items[r]), mine, hamming.pack_labels(theirs[r]), bits=16
        )
        for r in rows
    ]
    np.testing.assert_array_equal((parts[0] + parts[1]).counts, search(asked, items).counts)


@pytest.mark.parametrize("form", [(9, 70), (9, 62), (9, 9, 256)])
def test_numpy_threads_and_blocks_change_no_count(
    form: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    items, asked = codes(400, 70), np.random.default_rng(0).standard_normal(form).astype(np.float32)
    scaled = form == (9, 62)
    expected = search(asked, items, scaled=scaled)
    others = [search(asked, items, scaled=scaled, threads=3)]
    monkeypatch.setattr(asymmetric, "_TABLES", 1)
    others.append(search(asked, items, scaled=scaled))
    monkeypatch.setenv("BENCH_NO_NUMBA", "1")
    others.append(search(asked, items, scaled=scaled))
    for other in others:
        for name in ("counts", "gains", "grades"):
            np.testing.assert_array_equal(getattr(other, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.0], "returned a list"),
        (np.zeros((3, 16)), "returned float64 (3, 16)"),
        (np.zeros((3, 2, 256), np.float32), "returned float32 (3, 2, 256)"),
        (np.full((3, 16), np.nan, np.float32), "NaN, or values beyond 1e+30"),
    ],
)
def test_other_numbers_of_queries_are_one_clear_line(values: Any, says: str) -> None:
    with pytest.raises(ContractError, match=r"expected finite float32 \(3, 16\)") as raised:
        validate_query(values, rows=3, bits=16, distance="dot", owner="Mine")
    assert says in str(raised.value)


def test_a_cell_scores_as_an_explicit_ranking_by_distance_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The method is fitted again by hand, and a loop over bytes and a sort give the mAP over unseen items."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (record,) = bench.run(
        methods="pq",
        datasets="synthetic[n=600,queries=50]",
        bits="16",
        seeds=1,
        train="0.5",
        schedule="shuffled:300",
        results=str(tmp_path / "runs"),
    ).records
    arrays = Store(tmp_path / "runs").arrays(record)
    rows, trained = arrays["rows/database"].astype(int), arrays["rows/trained"].astype(bool)
    dataset = registry.get("dataset", "synthetic")(n=600, queries=50).load(tmp_path)
    method = registry.get("method", "pq")(bits=16, seed=derive_seed(record.spec.seed, "method"))
    method.fit_chunk(shown.chunk(dataset.train, rows[trained], method.capabilities, 0))
    unseen = dataset.train.take(rows[~trained])
    distance = looked_up(
        method.encode_query(dataset.query.image, "image"), method.encode(unseen.text, "text")
    )
    expected = average_precisions(distance, dataset.query.labels.astype(int) @ unseen.labels.T > 0)
    score = record.over("unseen").rounds[-1].metrics["map/i2t"]
    assert score == pytest.approx(np.nanmean(expected), abs=5e-4)


class Signs(Method):
    """Random hyperplanes; queries keep the values before the sign."""

    capabilities = Capabilities(distance="dot")
    source = Source(note="a test")

    def fit_chunk(self, chunk: Chunk) -> None:
        self.w_ = {
            m: np.random.default_rng(0).standard_normal((chunk.batch(m).features.shape[1], self.bits))
            for m in ("image", "text")
        }

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality])

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return (batch.features @ self.w_[modality]).astype(np.float32)


class Turned(Signs):
    """Its queries have the wrong sign."""

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return np.negative(super().encode_query(batch, modality))


class Batchwise(Signs):
    """Its queries depend on the others of their batch."""

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        values = super().encode_query(batch, modality)
        mean: Features = np.mean(values, axis=0, keepdims=True)
        return values - mean


class Undeclared(Signs):
    """It has numbers of queries that nobody asks for."""

    capabilities = Capabilities()


def test_a_method_with_a_distance_of_its_own_passes_the_suite() -> None:
    results = {result.name: ("" if result.ok else result.message) for result in check_method(Signs)}
    assert not any(results.values())
    assert "a_query_is_nearest_to_its_own_code" in results


@pytest.mark.parametrize(
    ("cls", "check", "says"),
    [
        (Turned, "a_query_is_nearest_to_its_own_code", "Check the sign and the order of the bits"),
        (Batchwise, "numbers_of_queries_stay_the_same", "other numbers for a query alone"),
        (
            Undeclared,
            "its_distance_has_numbers_of_queries",
            "distance='hamming') and overrides encode_query()",
        ),
    ],
)
def test_wrong_numbers_of_queries_fail_the_suite(cls: type[Method], check: str, says: str) -> None:
    failures = {result.name: ("" if result.ok else result.message) for result in check_method(cls)}
    assert says in str(failures[check])
