"""Compatibility modes against loops over one ranked list at a time, written from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DataError, ParameterError
from bench.metrics import evaluate, mean, per_query
from bench.scoring import compat
from bench.scoring.hamming import histograms, pack_codes, pack_labels

Arrays = tuple[Any, Any, Any, Any]  # codes of queries and of items, labels of queries and of items
MODES = ["map:dcmh", "map@{}:lemon", "map@{}:calc_map_k", "map:perf_metric4label", "map@{}:trec"]


def data(queries: int = 30, items: int = 203, bits: int = 6, classes: int = 8, seed: int = 0) -> Arrays:
    """Codes with many ties and labels; some queries have no relevant item."""
    rng = np.random.default_rng(seed)
    query, database = (rng.choice(np.array([-1, 1], np.int8), (n, bits)) for n in (queries, items))
    asked, stored = ((rng.random((n, classes)) < 0.15).astype(np.uint8) for n in (queries, items))
    return query, database, asked, stored


def ranked(query: Any, database: Any, query_labels: Any, database_labels: Any) -> np.ndarray[Any, Any]:
    """Relevance in the order of a stable sort, (queries, items)."""
    distance = (query[:, None, :] != database).sum(axis=2)
    relevant = query_labels.astype(int) @ database_labels.T > 0
    return np.take_along_axis(relevant, np.argsort(distance, axis=1, kind="stable"), axis=1)


def precision_sum(row: Any, items: int) -> float:
    return float(sum(row[: j + 1].sum() / (j + 1) for j in range(min(items, len(row))) if row[j]))


def dcmh(rows: Any, cut: int) -> float:
    return float(np.mean([precision_sum(r, len(r)) / r.sum() if r.any() else 0 for r in rows]))


def lemon(rows: Any, cut: int) -> float:
    return float(np.mean([precision_sum(r, cut) / r[:cut].sum() if r[:cut].any() else 0 for r in rows]))


def calc_map_k(rows: Any, cut: int) -> float:
    total = 0.0
    for row in rows:
        ranks = np.flatnonzero(row)[:cut] + 1
        total += float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0
    return total / len(rows)


def perf_metric4label(rows: Any, cut: int) -> float:
    values = [precision_sum(r, len(r)) / r.sum() for r in rows if r.any()]
    return float(sum(values) / (10 + len(values)))


def trec(rows: Any, cut: int) -> float:
    return float(np.mean([precision_sum(r, cut) / r.sum() for r in rows if r.any()]))


ORIGINALS: dict[str, Callable[[Any, int], float]] = {
    "map:dcmh": dcmh,
    "map@{}:lemon": lemon,
    "map@{}:calc_map_k": calc_map_k,
    "map:perf_metric4label": perf_metric4label,
    "map@{}:trec": trec,
}


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BENCH_NO_NUMBA", "1" if request.param == "numpy" else "0")
    return str(request.param)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cut", [1, 2, 10, 50, 203])
def test_a_mode_gives_the_number_of_the_code_it_is_named_after(mode: str, cut: int) -> None:
    arrays = data()
    if mode.endswith("trec"):  # ties go by descending id: the stable order of the reversed database
        rows = ranked(arrays[0], arrays[1][::-1], arrays[2], arrays[3][::-1])
    else:
        rows = ranked(*arrays)
    assert not rows.any(axis=1).all(), "some query must be empty, or the test shows nothing about them"
    found = evaluate(*arrays, metrics=[mode.format(cut)])[mode.format(cut)]
    assert found == pytest.approx(ORIGINALS[mode](rows, cut), rel=1e-12)


@given(
    st.integers(1, 20),
    st.integers(1, 90),
    st.integers(1, 130),
    st.integers(1, 70),
    st.integers(0, 99),
    st.data(),
)
def test_hits_equal_a_stable_argsort_at_every_cut(
    queries: int, items: int, bits: int, classes: int, seed: int, draw: st.DataObject
) -> None:
    arrays = data(queries, items, bits, classes, seed)
    cuts = draw.draw(st.lists(st.integers(1, items), max_size=4))
    found = orders(arrays, cuts=cuts, backward=True)
    rows = ranked(*arrays)
    reverse = ranked(arrays[0], arrays[1][::-1], arrays[2], arrays[3][::-1])
    assert found.backward is not None
    for k, cut in enumerate(found.cuts):
        np.testing.assert_array_equal(found.stable.hits[:, k], rows[:, :cut].sum(axis=1))
        np.testing.assert_array_equal(found.backward.hits[:, k], reverse[:, :cut].sum(axis=1))
        np.testing.assert_allclose(
            found.backward.precisions[:, k], [precision_sum(r, cut) for r in reverse], rtol=1e-12
        )


def orders(arrays: Arrays, **options: Any) -> compat.Orders:
    return compat.orders(*pack(arrays), bits=arrays[0].shape[1], **options)


def pack(arrays: Arrays) -> Arrays:
    query, database, query_labels, database_labels = arrays
    return pack_codes(query), pack_codes(database), pack_labels(query_labels), pack_labels(database_labels)


def test_the_sort_counts_the_same_histograms_as_the_search() -> None:
    arrays = data(bits=70, classes=70)
    np.testing.assert_array_equal(orders(arrays).histograms.counts, histograms(*pack(arrays), bits=70).counts)


def test_one_and_two_threads_give_the_same_numbers() -> None:
    arrays = data(queries=300)
    names = [m.format(10) for m in MODES]
    assert evaluate(*arrays, metrics=names, threads=1) == evaluate(*arrays, metrics=names, threads=2)


def test_a_database_stored_by_label_moves_an_order_dependent_mode_and_not_the_map() -> None:
    query, database, query_labels, database_labels = data()
    order = np.argsort(database_labels[:, 0], kind="stable")
    names = ["map:dcmh", "map"]
    before = evaluate(query, database, query_labels, database_labels, metrics=names)
    after = evaluate(query, database[order], query_labels, database_labels[order], metrics=names)
    assert before["map"] == after["map"]
    assert before["map:dcmh"] != after["map:dcmh"]


@pytest.mark.filterwarnings("ignore:all 6 query codes")
def test_every_mode_without_ties_and_cut_is_the_map_up_to_its_mean() -> None:
    bits = 40  # item j differs from every query in j bits
    database = np.where(np.arange(bits) < np.arange(bits)[:, None], -1, 1)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 6), rng.integers(0, 3, bits)
    names = ["map", *(m.replace("@{}", "") for m in MODES)]
    found = evaluate(np.ones((6, bits), np.int8), database, *labels, metrics=names)
    wanted = found.pop("map")
    assert found.pop("empty_queries") == 0
    assert found.pop("map:perf_metric4label") == pytest.approx(wanted * 6 / 16, rel=1e-12)
    assert found == pytest.approx(dict.fromkeys(found, wanted), rel=1e-12)


def test_empty_queries_get_what_the_original_gives_them() -> None:
    found = orders(data(), backward=True)
    empty = found.histograms.relevant == 0
    for mode, value in (
        ("dcmh", 0),
        ("lemon", 0),
        ("calc_map_k", 0),
        ("perf_metric4label", np.nan),
        ("trec", np.nan),
    ):
        np.testing.assert_array_equal(per_query(f"map:{mode}", found)[empty], value)


def test_lemon_beyond_the_database_is_an_error_as_in_the_original() -> None:
    with pytest.raises(DataError, match="lemon at 204: the database has 203 items"):
        evaluate(*data(), metrics=["map@204:lemon"])


def test_other_modes_beyond_the_database_are_over_the_database() -> None:
    for mode in ("calc_map_k", "trec"):
        found = evaluate(*data(), metrics=[f"map@999:{mode}", f"map:{mode}"])
        assert found[f"map@999:{mode}"] == found[f"map:{mode}"]


def test_what_was_not_summed_up_cannot_be_asked_for() -> None:
    found = orders(data(), cuts=[5])
    with pytest.raises(ParameterError, match="not summed up at 7"):
        mean("map@7:lemon", found)
    with pytest.raises(ParameterError, match="backward=True"):
        mean("map:trec", found)
    with pytest.raises(ParameterError, match="map is computed from Histograms; got Orders"):
        mean("map", found)
