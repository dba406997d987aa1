"""What reports take from stored arrays: right, and read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bench import metrics
from bench.errors import ParameterError
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.evidence import Evidence, Health
from bench.scoring import hamming

BITS = 12


def record(name: str = "a.npz") -> RunRecord:
    last = RoundRecord(
        round=2,
        items=150,
        queries=20,
        empty_queries={"i2t": 1},
        metrics={},
        seconds={},
        bits_rewritten=None,
        state_bytes=0,
    )
    spec = RunSpec(
        method="m", dataset="d", bits=BITS, schedule=Schedule.parse("shuffled:50"), directions=("i2t",)
    )
    return RunRecord(spec=spec, status="ok", rounds=(last,), arrays=name)


def histograms() -> hamming.Histograms:
    rng = np.random.default_rng(0)
    labels = (rng.random((170, 5)) < 0.3).astype(np.uint8)
    labels[0] = 0  # a query with nothing to find
    codes = hamming.pack_codes(rng.random((170, BITS)) < 0.5)
    masks = hamming.pack_labels(labels)
    parts = (np.ascontiguousarray(a[:, s]) for a in (codes, masks) for s in (slice(20), slice(20, None)))
    query, database, mine, theirs = parts
    return hamming.histograms(query, database, mine, theirs, bits=BITS)


def search() -> Any:
    return Evidence(lambda _: {"i2t/2/counts": histograms().counts}).search(record(), "i2t")


def health(codes: npt.NDArray[Any]) -> Health:
    packed = hamming.pack_codes(codes)
    spec_bits = {"codes/database/text": packed}
    made = record()
    short = RunRecord(
        spec=RunSpec(
            method="m", dataset="d", bits=codes.shape[1], schedule=made.spec.schedule, directions=("i2t",)
        ),
        status="ok",
        rounds=made.rounds,
    )
    return Evidence(lambda _: spec_bits).health(short, "text")


def test_scores_are_the_ap_of_every_query() -> None:
    found = search()
    np.testing.assert_allclose(found.scores, metrics.per_query("map", histograms()), rtol=1e-6)
    assert np.isnan(found.scores[0])


def test_scores_are_exact_also_where_a_few_items_lie_behind_a_million() -> None:
    counts = np.zeros((4, BITS + 1, 2), np.uint32)
    counts[:, 0, 0] = 999_000
    counts[:, 1, 0] = [1000, 1000, 999, 1000]
    counts[:, 1, 1] = [1000, 1, 1, 500]
    counts[2, 0, :] = [999_001, 1]
    counts[3, 0, 1] = 998_999
    found = Evidence(lambda _: {"i2t/2/counts": counts}).search(record(), "i2t")
    expected = metrics.per_query("map", hamming.Histograms(counts))
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_chance_is_what_equal_codes_would_give_every_query() -> None:
    evidence = Evidence(lambda _: {"i2t/2/counts": histograms().counts})
    np.testing.assert_allclose(
        evidence.chance(record(), "i2t", 2), metrics.per_query("chance", histograms()), rtol=1e-6
    )


def test_histograms_and_codes_are_those_that_were_stored() -> None:
    made, codes = histograms(), np.where(np.random.default_rng(1).random((30, BITS)) < 0.5, 1, -1)
    gains, grades = np.ones((len(made), BITS + 1), np.uint64), np.zeros((len(made), 2), np.uint32)
    parts: dict[str, Any] = {"i2t/2/counts": made.counts, "i2t/2/gains": gains, "i2t/2/grades": grades}
    evidence = Evidence(lambda _: {**parts, "codes/database/text": hamming.pack_codes(codes)})
    found = evidence.histograms(record(), "i2t")
    for array, stored in zip((found.counts, found.gains, found.grades), parts.values(), strict=True):
        np.testing.assert_array_equal(array, stored)
    np.testing.assert_array_equal(evidence.codes(record(), "text"), codes)


def test_what_is_derived_is_made_once() -> None:
    evidence, made = Evidence(lambda _: {}), iter([1])
    assert [evidence.derived(("key",), lambda: next(made)) for _ in range(2)] == [1, 1]


def test_ranks_are_the_expected_precision_and_recall_of_the_metrics() -> None:
    found = search()
    for cut, precision, recall in zip(found.cuts, *found.ranks, strict=True):
        assert precision == pytest.approx(metrics.mean(f"precision@{cut}", histograms()))
        assert recall == pytest.approx(metrics.mean(f"recall@{cut}", histograms()))
    assert found.cuts[0] == 1 and found.cuts[-1] == 150


def test_the_curve_by_radius_is_that_of_the_metrics() -> None:
    np.testing.assert_allclose(search().radius, metrics.pr_curve(histograms()))


def test_arrays_of_a_record_are_read_once() -> None:
    reads: list[str] = []

    def arrays(r: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        reads.append(r.arrays)
        return {"i2t/2/counts": histograms().counts}

    evidence = Evidence(arrays)
    evidence.prepare([record("a.npz"), record("b.npz")])
    for name in ("a.npz", "b.npz"):
        evidence.search(record(name), "i2t")
    assert sorted(reads) == ["a.npz", "b.npz"]


def test_what_was_not_stored_is_an_error_that_names_the_fix() -> None:
    with pytest.raises(ParameterError, match=r"no stored array 'i2t/2/counts'.*--force"):
        Evidence(lambda _: {}).search(record(), "i2t")


def test_without_a_loader_there_is_nothing_to_read_and_the_fix_is_named() -> None:
    assert not Evidence()
    with pytest.raises(ParameterError, match=r"made from records alone.*`bench table`"):
        Evidence().search(record(), "i2t")


def test_codes_that_are_all_equal_have_one_bucket_and_no_entropy() -> None:
    found = health(np.ones((8, 4), np.int8))
    assert (found.entropy, found.duplicates, found.buckets.tolist()) == (0, 1, [8])
    np.testing.assert_array_equal(found.correlation, np.zeros((4, 4)))


def test_health_of_codes_worked_out_by_hand() -> None:
    codes = np.array([[1, 1], [1, 1], [-1, -1], [1, -1]], np.int8)
    found = health(codes)
    np.testing.assert_allclose(found.balance, [0.75, 0.5])
    assert found.entropy == pytest.approx(1.5)
    assert found.duplicates == 0.5
    assert found.buckets.tolist() == [2, 1, 1]
    pearson = np.atleast_2d(np.corrcoef(codes.T))
    assert found.correlation[0, 1] == pytest.approx(pearson[0, 1], abs=1e-6)
