"""OLSH, our reconstruction, against a plain transcription of its equations, and its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods.olsh import OLSH

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


def transcription(
    chunks: list[Chunk], u: Array, *, beta: float, weights: tuple[float, float], gamma: float
) -> tuple[list[Array], list[Array]]:
    """Latent semantics of every chunk and the last hash functions, keeping all old data."""
    r, inverse = len(u), np.linalg.inv
    seen: list[list[Array]] = [[], [], [], []]  # image, text, labels, latent semantics
    w = [np.zeros((6, r)), np.zeros((5, r))]
    raw: list[list[Array]] = [[], []]
    for chunk in chunks:
        assert chunk.labels is not None
        x = []
        for m, modality in enumerate(MODALITIES):
            raw[m].append(chunk.batch(modality).features.astype(float))
            x.append(raw[m][-1] - np.concatenate(raw[m]).mean(axis=0))
        lengths = np.linalg.norm(chunk.labels, axis=1, keepdims=True)
        g = np.divide(chunk.labels, lengths, where=lengths > 0, out=np.zeros(chunk.labels.shape))
        xs = [np.concatenate([*seen[m], x[m]]) for m in (0, 1)]
        gs = np.concatenate([*seen[2], g])
        for _ in range(10):
            v = beta * g @ u.T + weights[0] * x[0] @ w[0] + weights[1] * x[1] @ w[1]
            v = v @ inverse(beta * u @ u.T + (sum(weights) + gamma) * np.eye(r))
            vs = np.concatenate([*seen[3], v])
            u = inverse(vs.T @ vs + gamma / beta * np.eye(r)) @ vs.T @ gs
            for m in (0, 1):
                penalty = gamma / weights[m] * np.eye(len(w[m]))
                w[m] = inverse(xs[m].T @ xs[m] + penalty) @ xs[m].T @ vs
        for kept, new in zip(seen, (*x, g, v), strict=True):
            kept.append(new)
    return seen[3], w


@pytest.mark.parametrize("sizes", [(40,), (40, 30, 25)])
def test_chunkwise_sums_give_what_the_equations_give_on_all_data(
    sizes: tuple[int, ...], shifted_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = shifted_stream(*sizes)
    method = OLSH(bits=3, lambda1=2.0, lambda2=0.5, beta=1.5, gamma=0.1)
    u = np.random.default_rng(0).standard_normal((3, 4))
    latent, w = transcription(chunks, u, beta=1.5, weights=(2.0, 0.5), gamma=0.1)
    codes = codes_of(method, chunks)
    means = [np.concatenate(latent[: t + 1]).mean(axis=0) for t in range(len(sizes))]
    expected = [np.where(v >= mean, 1, -1) for v, mean in zip(latent, means, strict=True)]
    np.testing.assert_array_equal(codes, np.concatenate(expected))
    for m, modality in enumerate(MODALITIES):
        np.testing.assert_allclose(method.w_[modality], w[m], rtol=1e-6, atol=1e-9)


def test_a_query_is_centred_like_the_items_seen(shifted_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks = OLSH(bits=8), shifted_stream(40, 40)
    codes_of(method, chunks)
    x = np.concatenate([c.image.features for c in chunks]).astype(float)
    projected = (chunks[0].image.features - x.mean(axis=0)) @ method.w_["image"] - method.latent_mean_.mean
    codes = method.encode(chunks[0].image, "image")
    np.testing.assert_array_equal(codes, np.where(projected >= 0, 1, -1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "expected"),
    [("learned", {"i2t": 0.314, "t2i": 0.686}), ("reindexed", {"i2t": 0.216, "t2i": 0.238})],
)
def test_wiki_map_is_that_of_our_first_reconstruction(
    wiki_map: Callable[..., dict[str, float]], database: str, expected: dict[str, float]
) -> None:
    """An independent implementation of the same equations gave these figures; the authors' are not known."""
    found = wiki_map(lambda seed: OLSH(bits=32, seed=seed), database=database)
    assert found == pytest.approx(expected, abs=0.03)
