"""bench.scoring.cosine: histograms of real-valued vectors."""

from __future__ import annotations

import numpy as np
import pytest

from bench import metrics
from bench.scoring import cosine, hamming


def data(n: int = 30, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6)).astype(np.float32), (rng.random((n, 4)) < 0.4).astype(np.uint8)


def test_signs_ranked_by_cosine_score_as_by_hamming_distance() -> None:
    """The cosine of ±1 codes is a linear function of their Hamming distance, so the rankings agree."""
    rng = np.random.default_rng(0)
    (_, labels), (_, query_labels) = data(50), data(20, seed=1)
    codes, query = (np.where(rng.random((n, 16)) < 0.5, 1, -1).astype(np.int8) for n in (50, 20))
    masks = hamming.pack_labels(query_labels), hamming.pack_labels(labels)
    asked, stored = (cosine.pack_vectors(c.astype(np.float32)) for c in (query, codes))
    real = cosine.histograms(asked, stored, *masks)
    bits = hamming.histograms(
        hamming.pack_codes(query), hamming.pack_codes(codes), *masks, bits=16, graded=True
    )
    for name in ("map", "map@10", "ndcg@10", "precision@10", "map:optimistic"):
        np.testing.assert_allclose(metrics.per_query(name, real), metrics.per_query(name, bits))
    np.testing.assert_array_equal(real.grades, bits.grades)


def test_average_precision_is_that_of_the_ranking_by_cosine() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    (x, labels), (q, query_labels) = data(200), data(20, seed=1)
    hist = cosine.histograms(
        cosine.pack_vectors(q),
        cosine.pack_vectors(x),
        hamming.pack_labels(query_labels),
        hamming.pack_labels(labels),
    )
    similar = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (
        x / np.linalg.norm(x, axis=1, keepdims=True)
    ).T
    relevant = query_labels @ labels.T > 0
    expected = [
        sklearn.average_precision_score(r, s) if r.any() else np.nan
        for r, s in zip(relevant, similar, strict=True)
    ]
    np.testing.assert_allclose(metrics.per_query("map", hist), expected, atol=0.01)  # steps of 1/512
    assert np.nanmean(expected) == pytest.approx(metrics.mean("map", hist), abs=2e-3)


def test_blocks_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    (x, labels), (q, query_labels) = data(), data(7, seed=1)
    given = (
        cosine.pack_vectors(q),
        cosine.pack_vectors(x),
        hamming.pack_labels(query_labels),
        hamming.pack_labels(labels),
    )
    whole = cosine.histograms(*given)
    monkeypatch.setattr(cosine, "_PAIRS", 1)
    np.testing.assert_array_equal(cosine.histograms(*given).counts, whole.counts)


def test_a_zero_vector_is_orthogonal_to_everything() -> None:
    assert not cosine.pack_vectors(np.zeros((2, 3), np.float32)).any()
