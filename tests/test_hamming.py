"""Packing and per-query histograms, on both paths: numba and numpy alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DataError, ParameterError
from bench.scoring.hamming import Histograms, histograms, pack_codes, pack_labels, unpack_codes

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=["numba", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BENCH_NO_NUMBA", "1" if request.param == "numpy" else "0")
    return str(request.param)


def sides(queries: int, items: int, bits: int, classes: int, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Codes of both sides, then labels of both sides; some rows have no label."""
    rng = np.random.default_rng(seed)
    codes = [rng.choice(np.array([-1, 1], np.int8), (n, bits)) for n in (queries, items)]
    labels = [(rng.random((n, classes)) < 0.2).astype(np.uint8) for n in (queries, items)]
    return codes[0], codes[1], labels[0], labels[1]


def search(query: Any, database: Any, query_labels: Any, database_labels: Any, **options: Any) -> Histograms:
    return histograms(
        pack_codes(query),
        pack_codes(database),
        pack_labels(query_labels),
        pack_labels(database_labels),
        bits=query.shape[1],
        **options,
    )


def assert_equal(a: Histograms, b: Histograms) -> None:
    for name in ("counts", "gains", "grades"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@given(st.integers(0, 5), st.integers(1, 200), st.integers(0, 99))
def test_unpacking_gives_back_what_was_packed(items: int, bits: int, seed: int) -> None:
    codes = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (items, bits))
    packed = pack_codes(codes)
    assert packed.shape == (-(-bits // 64), items)
    assert packed.flags.c_contiguous
    np.testing.assert_array_equal(unpack_codes(packed, bits), codes)


def test_all_spellings_of_two_symbols_pack_alike() -> None:
    codes = sides(1, 9, 70, 1)[1]
    for same in (codes.astype(float), (codes > 0).astype(int), codes > 0):
        np.testing.assert_array_equal(pack_codes(same), pack_codes(codes))


def test_class_numbers_pack_like_their_one_hot_rows() -> None:
    numbers = np.array([0, 3, 99, 64, 63])
    np.testing.assert_array_equal(pack_labels(numbers, classes=130), pack_labels(np.eye(130)[numbers]))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([[-1, 0, 1]]), r"codes hold the values -1, 0, 1; expected two symbols"),
        (np.array([[1.0, np.nan]]), "nan"),
        (np.array([[0.5, -0.5]]), "Binarise with bench.api.sign"),
        (np.array([1, -1]), r"codes have shape \(2,\)"),
        (np.ones((3, 0)), r"codes have shape \(3, 0\)"),
    ],
)
def test_codes_of_other_than_two_symbols_are_refused(codes: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pack_codes(codes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([[0, 2]]), "labels hold the values 0, 2; expected 0 and 1"),
        (np.array([[0, np.nan]]), "nan"),
        (np.array([3, -1]), "whole numbers from 0"),
        (np.array([0.0, 1.0]), "whole numbers from 0"),
        (np.zeros((2, 2, 2)), "labels have shape"),
    ],
)
def test_labels_that_are_neither_multi_hot_nor_class_numbers_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pack_labels(labels)


def test_a_class_number_beyond_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match="class number 5 is outside the 5 classes"):
        pack_labels(np.array([0, 5]), classes=5)


@pytest.mark.parametrize(
    ("queries", "items", "bits", "classes"),
    [(1, 1, 1, 1), (3, 5, 16, 3), (70, 4100, 64, 24), (5, 301, 63, 64), (9, 257, 128, 24), (4, 99, 100, 70)],
)
@pytest.mark.parametrize("graded", [False, True])
def test_histograms_equal_distances_counted_one_by_one(
    path: str, queries: int, items: int, bits: int, classes: int, graded: bool
) -> None:
    query, database, query_labels, database_labels = sides(queries, items, bits, classes)
    found = search(query, database, query_labels, database_labels, graded=graded)
    distance = (query[:, None, :] != database).sum(axis=2)
    shared = query_labels.astype(int) @ database_labels.T
    for q in range(queries):
        np.testing.assert_array_equal(found.counts[q, :, 0], np.bincount(distance[q], minlength=bits + 1))
        hits = distance[q][shared[q] > 0]
        np.testing.assert_array_equal(found.counts[q, :, 1], np.bincount(hits, minlength=bits + 1))
        if graded:
            assert found.gains is not None and found.grades is not None
            gains = np.bincount(distance[q], weights=shared[q], minlength=bits + 1)
            np.testing.assert_array_equal(found.gains[q], gains)
            grades = np.bincount(shared[q], minlength=found.grades.shape[1])
            np.testing.assert_array_equal(found.grades[q], grades)
    assert (found.gains is None) == (not graded)


@given(
    st.integers(1, 70),
    st.integers(1, 130),
    st.integers(1, 140),
    st.integers(1, 80),
    st.booleans(),
    st.integers(0, 99),
)
def test_numba_and_numpy_give_the_same_integers(
    queries: int, items: int, bits: int, classes: int, graded: bool, seed: int
) -> None:
    data = sides(queries, items, bits, classes, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_NO_NUMBA", "0")
        compiled = search(*data, graded=graded)
        patch.setenv("BENCH_NO_NUMBA", "1")
        assert_equal(compiled, search(*data, graded=graded))


def test_one_and_two_threads_give_the_same_histograms(path: str) -> None:
    data = sides(301, 500, 32, 10)
    assert_equal(search(*data, graded=True, threads=1), search(*data, graded=True, threads=2))


def test_the_order_of_the_database_does_not_matter(path: str) -> None:
    query, database, query_labels, database_labels = sides(20, 300, 64, 10)
    order = np.random.default_rng(1).permutation(300)
    shuffled = search(query, database[order], query_labels, database_labels[order], graded=True)
    assert_equal(shuffled, search(query, database, query_labels, database_labels, graded=True))


def test_neither_the_order_of_the_bits_nor_a_common_flip_matters(path: str) -> None:
    query, database, *labels = sides(20, 300, 100, 10)
    rng = np.random.default_rng(1)
    order, flip = rng.permutation(100), rng.choice(np.array([-1, 1], np.int8), 100)
    changed = search(query[:, order] * flip, database[:, order] * flip, *labels)
    assert_equal(changed, search(query, database, *labels))


def test_grades_and_counts_agree_on_what_is_relevant() -> None:
    found = search(*sides(20, 300, 32, 10), graded=True)
    assert found.grades is not None
    np.testing.assert_array_equal(found.relevant, found.grades[:, 1:].sum(axis=1))
    assert found.items == 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: (a[0], a[1][:, :-1].copy(), a[2], a[3]), "database has 4 codes and 5 rows of labels"),
        (lambda a: (a[0][:, :-1].copy(), *a[1:]), "query has 2 codes and 3 rows of labels"),
        (lambda a: (a[0], a[1].astype(np.int64), *a[2:]), "expected contiguous"),
        (lambda a: (a[0].T, *a[1:]), "words"),
        (lambda a: (*a[:3], np.concatenate([a[3], a[3]])), "same classes on both sides"),
        (lambda a: (a[0], a[1][:, :0].copy(), a[2], a[3][:, :0].copy()), "the database has no items"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change: Any, message: str) -> None:
    query, database, query_labels, database_labels = sides(3, 5, 16, 3)
    packed = pack_codes(query), pack_codes(database), pack_labels(query_labels), pack_labels(database_labels)
    with pytest.raises(DataError, match=message):
        histograms(*change(packed), bits=16)


def test_a_wrong_number_of_bits_is_refused() -> None:
    packed = [pack_codes(c) for c in sides(3, 5, 64, 3)[:2]]
    labels = [pack_labels(x) for x in sides(3, 5, 64, 3)[2:]]
    with pytest.raises(DataError, match="expected 2 for 65 bits"):
        histograms(*packed, *labels, bits=65)


def test_no_threads_are_refused() -> None:
    with pytest.raises(ParameterError, match="threads must be at least 1; got 0"):
        search(*sides(3, 5, 16, 3), threads=0)


def run(code: str, **environment: str) -> str:
    """The output of Python code in a process of its own, which must not warn."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FIRST_NUMBER = """
import numpy as np
from bench.metrics import evaluate
codes = np.where(np.arange(800).reshape(50, 16) % 7 < 3, 1, -1)
for name in ("map", "map:dcmh"):  # one kernel each
    print(evaluate(codes[:5], codes, np.arange(5) % 2, np.arange(50) % 2, (name,), threads=1))
"""


def test_importing_the_metrics_loads_neither_numba_nor_torch() -> None:
    code = "import sys, bench.metrics; print({'numba', 'torch', 'scipy'} & set(sys.modules))"
    assert run(code).strip() == "set()"


def test_without_numba_the_first_number_needs_no_numba() -> None:
    code = FIRST_NUMBER + "import sys; print('numba' in sys.modules)"
    assert run(code, BENCH_NO_NUMBA="1").split()[-1] == "False"


@pytest.mark.slow
def test_a_second_process_compiles_no_kernel_again(tmp_path: Path) -> None:
    first = run(FIRST_NUMBER, NUMBA_CACHE_DIR=str(tmp_path))
    compiled = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    names = {path.name.split("-")[0] for path in compiled}
    assert {"_kernels.histograms", "_kernels.orders"} <= names
    assert run(FIRST_NUMBER, NUMBA_CACHE_DIR=str(tmp_path)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")} == compiled


@pytest.mark.slow
def test_where_no_cache_can_be_written_the_numbers_are_the_same() -> None:
    nowhere = "import numba.core.caching as c; c.CacheImpl._locator_classes = []"
    check = "from bench.scoring import _kernels; assert not _kernels.orders._cache.cache_path"
    assert run(f"{nowhere}\n{FIRST_NUMBER}\n{check}") == run(FIRST_NUMBER)
