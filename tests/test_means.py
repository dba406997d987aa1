"""Scores counted again by the compiled sums are those of the metrics, up to the last bits."""

from __future__ import annotations

import numpy as np
import pytest

from bench import metrics
from bench.metrics._counted import means
from bench.running.evaluation import STANDARD
from bench.scoring import hamming
from bench.scoring.hamming import Histograms

NAMES = (
    *STANDARD,
    *("map@1", "map@7", "map@7:pessimistic", "map@7:optimistic", "chance@7", "map@9:hits", "map@5000"),
    *("precision@1", "recall@1", "recall@40", "precision@r0", "recall@r3", "precision@r99", "ndcg", "ndcg@3"),
)


def histograms(items: int, bits: int, *, classes: int = 6, share: float = 0.3, seed: int = 0) -> Histograms:
    """Of random codes and labels; some queries have no label, and so no relevant item."""
    rng = np.random.default_rng(seed)
    codes = [hamming.pack_codes(rng.random((n, bits)) < rng.random(bits)) for n in (31, items)]
    labels = [hamming.pack_labels((rng.random((n, classes)) < share).astype(np.uint8)) for n in (31, items)]
    return hamming.histograms(*codes, *labels, bits=bits, graded=True)


@pytest.mark.parametrize(
    "hist",
    [
        histograms(200, 12),
        histograms(3, 4),
        histograms(1, 1),
        histograms(5000, 32),
        histograms(300, 70, classes=70),
        histograms(100, 8, share=0.0),
        histograms(100, 8, share=1.0),
        histograms(50, 8).take(slice(0, 0)),
    ],
)
def test_means_are_those_of_the_metrics(hist: Histograms) -> None:
    expected = metrics.means(NAMES, hist)
    found = means(NAMES, hist)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[n] for n in NAMES], [expected[n] for n in NAMES], rtol=1e-13)


def test_a_few_items_that_follow_a_million_keep_their_digits() -> None:
    counts = np.zeros((2, 9, 2), np.uint32)
    counts[:, 0, 0] = 10**6
    counts[:, 5] = [[3, 2], [3, 1]]
    hist = Histograms(
        counts, counts[:, :, 1].astype(np.uint64), np.array([[10**6 + 1, 2], [10**6 + 2, 1]], np.uint32)
    )
    names = ("map", "map:pessimistic", "map:optimistic", "chance")
    expected = metrics.means(names, hist)
    np.testing.assert_allclose(list(means(names, hist).values()), list(expected.values()), rtol=1e-13)


def test_without_numba_the_metrics_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hist = histograms(200, 12)
    compiled = means(NAMES, hist)
    monkeypatch.setenv("BENCH_NO_NUMBA", "1")
    assert means(NAMES, hist) == metrics.means(NAMES, hist)
    assert compiled.keys() == means(NAMES, hist).keys()
