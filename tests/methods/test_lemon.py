"""LEMON against the authors' code and its batch formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods.lemon import LEMON

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


@pytest.mark.slow
def test_wiki_map_is_that_of_the_authors_code(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: LEMON(bits=32, seed=seed))
    assert found == pytest.approx({"i2t": 0.326, "t2i": 0.716}, abs=0.03)


@pytest.mark.slow
def test_wiki_map_of_an_encoded_database_is_that_of_the_authors_code(
    wiki_map: Callable[..., dict[str, float]],
) -> None:
    found = wiki_map(lambda seed: LEMON(bits=32, seed=seed), database="reindexed")
    assert found == pytest.approx({"i2t": 0.216, "t2i": 0.210}, abs=0.03)


def transcription(
    chunks: list[Chunk], r: int, *, alpha: float, beta: float, gamma: float
) -> tuple[list[Array], list[Array]]:
    """Codes and embeddings of every chunk by the alternating updates, with S formed and all old data kept.

    The weights must be such that no direction is dead: nothing is filled at random here.
    """
    rng = np.random.default_rng(0)
    codes: list[Array] = []
    embeddings: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        new = chunk.labels.astype(float)
        n = len(new)
        labels.append(new)
        every = np.concatenate(labels)
        unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-7) for x in (new, every)]
        s = 2 * unit[0] @ unit[1].T - 1
        b, v = np.where(rng.standard_normal((n, r)) >= 0, 1.0, -1.0), rng.standard_normal((n, r))
        rotation = np.linalg.svd(rng.standard_normal((r, r)))[0]
        for _ in range(5):
            all_v = np.concatenate([*embeddings, v])
            p = np.linalg.inv(all_v.T @ all_v + gamma * np.eye(r)) @ all_v.T @ every
            z = b @ rotation.T + beta * new @ p.T + alpha * r * s @ np.concatenate([*codes, b])
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(n) * left @ right
            all_b, all_v = np.concatenate([*codes, b]), np.concatenate([*embeddings, v])
            left, _, right = np.linalg.svd(all_v.T @ all_b)
            rotation = left @ right
            b = np.where(alpha * r * s @ all_v + v @ rotation >= 0, 1.0, -1.0)
        codes.append(b)
        embeddings.append(v)
    return codes, embeddings


@pytest.mark.parametrize("weights", [(1e-3, 1.0, 5.0), (1e-2, 0.1, 0.1), (1e-3, 10.0, 50.0)])
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(
    weights: tuple[float, float, float], label_stream: Stream, codes_of: CodesOf
) -> None:
    alpha, beta, gamma = weights
    method, chunks = LEMON(bits=6, alpha=alpha, beta=beta, gamma=gamma), label_stream(40, 30, 35)
    codes, embeddings = transcription(chunks, 6, alpha=alpha, beta=beta, gamma=gamma)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(codes))
    assert method.sums_ is not None
    v, b = np.concatenate(embeddings), np.concatenate(codes)
    np.testing.assert_allclose(method.sums_.bv, b.T @ v, atol=1e-6)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = LEMON(bits=8, xi=0.3), label_stream(*sizes)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


def test_sums_are_those_of_all_codes_ever_given(label_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks = LEMON(bits=8), label_stream(30, 20, 25)
    codes = codes_of(method, chunks).astype(float)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None]).astype(float)
    g = labels / np.maximum(np.linalg.norm(labels, axis=1, keepdims=True), 1e-7)
    assert method.sums_ is not None
    np.testing.assert_allclose(method.sums_.gb, g.T @ codes, atol=1e-10)
    np.testing.assert_allclose(method.sums_.vv, len(codes) * np.eye(8), atol=1e-3)


def test_items_of_one_label_set_get_one_code_even_across_rounds(
    label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = LEMON(bits=32), label_stream(60, 60)
    codes = codes_of(method, chunks)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None])
    single = labels.sum(axis=1) == 1
    for one in np.unique(labels[single], axis=0):
        assert len(np.unique(codes[(labels == one).all(axis=1)], axis=0)) == 1
