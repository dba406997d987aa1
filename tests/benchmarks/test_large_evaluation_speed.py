"""The evaluation of ten million codes against the same loop in C, in turn in one run, in CPU seconds.

1000 queries are the study's; both loops are linear in queries, so that some of them are timed here.
"""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.scoring.hamming import Histograms, Packed, histograms

QUERIES, ITEMS, BITS, CLASSES = 40, 10_000_000, 64, 24
TILE = 4  # queries that look at a block before the next one is read
SOURCE = Path(__file__).parent / "popcount.c"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The loop in C, compiled for this processor."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("c") / "popcount.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True)
    return ctypes.CDLL(str(library)).count


def address(array: Packed, start: int = 0) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data + array.itemsize * start)


def counted(by_hand: Any, query: Packed, codes: Packed, asked: Packed, labels: Packed, width: int) -> Any:
    """How often each key occurs for each query, (queries, distances, width)."""
    keys = (BITS + 1) * width
    tables = np.zeros((query.shape[1], 4, keys), np.uint32)
    for first in range(0, query.shape[1], TILE):
        some = min(TILE, query.shape[1] - first)
        sides = (address(query, first), address(asked, first), ctypes.c_int64(some))
        database = (address(codes), address(labels), ctypes.c_int64(codes.shape[1]))
        sizes = (ctypes.c_int64(width), ctypes.c_int64(keys))
        by_hand(*sides, *database, *sizes, ctypes.c_void_p(tables[first:].ctypes.data))
    return tables.sum(axis=1).reshape(len(tables), BITS + 1, width)


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.slow
@pytest.mark.parametrize("graded", [False, True], ids=["relevance", "grades"])
def test_ten_million_codes_take_at_most_1_3_times_the_loop_in_c(
    by_hand: Any, benchmark: Any, graded: bool
) -> None:
    rng = np.random.default_rng(0)
    query, codes = (rng.integers(0, 2**64, (1, n), np.uint64) for n in (QUERIES, ITEMS))
    asked, labels = (np.uint64(1) << rng.integers(0, CLASSES, (1, n), np.uint64) for n in (QUERIES, ITEMS))
    for masks in (asked, labels):  # two labels, or one
        masks |= np.uint64(1) << rng.integers(0, CLASSES, masks.shape, np.uint64)
    width = 1 + (int(np.bitwise_count(asked).max()) if graded else 1)

    def ours() -> Histograms:
        return histograms(query, codes, asked, labels, bits=BITS, graded=graded, threads=1)

    def hand() -> Any:
        return counted(by_hand, query, codes, asked, labels, width)

    table = hand()
    np.testing.assert_array_equal(ours().counts[:, :, 0], table.sum(axis=2))
    np.testing.assert_array_equal(ours().counts[:, :, 1], table[:, :, 1:].sum(axis=2))
    rounds = benchmark.pedantic(lambda: [(cpu_seconds(ours), cpu_seconds(hand)) for _ in range(5)], rounds=1)
    ratio = statistics.median(mine / theirs for mine, theirs in rounds)
    benchmark.extra_info["times the loop in C"] = round(ratio, 2)
    benchmark.extra_info["ns a pair"] = 1e9 * statistics.median(m for m, _ in rounds) / (QUERIES * ITEMS)
    assert ratio <= 1.3
