"""OCEAN against a plain transcription of its updates on all data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods._codes import normalise_labels
from bench.methods.ocean import OCEAN

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]
WEIGHTS: dict[str, Any] = {"theta": 0.3, "alpha": 2.0, "beta": 0.7, "mu": 1e-3, "delta": 0.4}


def features(chunks: list[Chunk]) -> list[list[Array]]:
    """Of every chunk, both modalities centred by the first chunk, or their RBF features without it."""
    means = [chunks[0].batch(m).features.mean(axis=0, dtype=float) for m in MODALITIES]
    return [[c.batch(m).features - mean for m, mean in zip(MODALITIES, means, strict=True)] for c in chunks]


def transcription(
    chunks: list[Chunk], r: int, *, theta: float, alpha: float, beta: float, mu: float, delta: float
) -> list[Array]:
    """Codes of every chunk by the alternating updates, with S formed and all old data kept.

    Old items keep the correlated labels L C and the reconstruction V U of their own round. No
    direction may be dead: nothing is filled at random.
    """
    rng = np.random.default_rng(0)
    rng.permutation(len(chunks[0]))  # the anchors, of which there are none
    codes: list[Array] = []
    embeddings: list[Array] = []
    labels: list[Array] = []
    xs: list[list[Array]] = [[], []]
    told: list[Array] = []  # L C of old rounds
    rebuilt: list[Array] = []  # V U of old rounds
    inverse = np.linalg.inv
    for chunk, x in zip(chunks, features(chunks), strict=True):
        assert chunk.labels is not None
        new = chunk.labels.astype(float)
        (n, classes), one = new.shape, np.eye(r)
        labels.append(new)
        for m in (0, 1):
            xs[m].append(x[m])
        every, all_x = np.concatenate(labels), [np.concatenate(part) for part in xs]
        s = normalise_labels(new) @ normalise_labels(every).T
        b, v = np.where(rng.standard_normal((n, r)) >= 0, 1.0, -1.0), rng.standard_normal((n, r))
        c = rng.standard_normal((classes, classes))

        def solved(v: Array, c: Array, new: Array = new, one: Array = one) -> Array:
            all_v, all_told = np.concatenate([*embeddings, v]), np.concatenate([*told, new @ c])
            return inverse(beta * all_v.T @ all_v + delta * one) @ (beta * all_v.T @ all_told)

        u = solved(v, c)
        for _ in range(5):
            all_b = np.concatenate([*codes, b])
            drawn = np.zeros((n, r))
            for m in (0, 1):
                d = all_x[m].shape[1]
                p = inverse(theta * all_x[m].T @ all_x[m] + delta * np.eye(d)) @ (theta * all_x[m].T @ all_b)
                drawn += theta * x[m] @ p
            right = beta * every.T @ np.concatenate([*rebuilt, v @ u]) + alpha * every.T @ every
            c = inverse((beta + alpha) * every.T @ every + delta * np.eye(classes)) @ right
            u = solved(v, c)
            z = b + beta * new @ c @ u.T + mu * r * s @ all_b
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(n) * left @ right
            b = np.where(drawn + v + mu * r * s @ np.concatenate([*embeddings, v]) >= 0, 1.0, -1.0)
        codes.append(b)
        embeddings.append(v)
        told.append(new @ c)
        rebuilt.append(v @ u)
    return codes


@pytest.mark.parametrize("sizes", [(40,), (40, 30, 35)])
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(*sizes)
    found = codes_of(OCEAN(bits=6, anchors=0, **WEIGHTS), chunks)
    np.testing.assert_array_equal(found, np.concatenate(transcription(chunks, 6, **WEIGHTS)))


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = OCEAN(bits=8, xi=0.3, anchors=0), label_stream(*sizes)
    codes = codes_of(method, chunks).astype(float)
    for i, m in enumerate(MODALITIES):
        x = np.concatenate([part[i] for part in features(chunks)])
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-7, atol=1e-9)


def test_rbf_features_compare_with_items_of_the_first_chunk_only(label_stream: Stream) -> None:
    method, (first, second) = OCEAN(bits=8, anchors=10), label_stream(30, 40)
    method.fit_chunk(first)
    anchors = method.maps_["image"].points
    method.fit_chunk(second)
    assert anchors is not None and anchors is method.maps_["image"].points
    assert method.w_["image"].shape == (10, 8)
    assert all((first.image.features == anchor).all(axis=1).any() for anchor in anchors.astype(np.float32))


@pytest.mark.slow
def test_wiki_map_is_that_of_lemon_on_rbf_features(wiki_map: Callable[..., dict[str, float]]) -> None:
    """Both let the labels alone decide the codes: LEMON reaches 0.364 and 0.746 with 300 anchors."""
    found = wiki_map(lambda seed: OCEAN(bits=32, seed=seed))
    assert found == pytest.approx({"i2t": 0.364, "t2i": 0.746}, abs=0.03)
