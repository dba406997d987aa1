"""OCMH, our reconstruction, against a plain transcription of its equations, and its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, sign
from bench.methods.ocmh import OCMH

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]


def fit(method: OCMH, chunks: list[Chunk]) -> OCMH:
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "i2t", "t2i"), [(16, 0.224, 0.424), (32, 0.230, 0.471)])
def test_wiki_map_is_that_of_our_first_reconstruction(
    bits: int, i2t: float, t2i: float, wiki_map: Callable[..., dict[str, float]]
) -> None:
    """An independent implementation of the same equations gave these figures; the authors' are not known."""
    found = wiki_map(lambda seed: OCMH(bits=bits, seed=seed))
    assert found == pytest.approx({"i2t": i2t, "t2i": t2i}, abs=0.03)


def ridge(target: Array, v: Array, penalty: float) -> Array:
    """The W that minimises ‖target - W v‖² + penalty·‖W‖², samples in columns."""
    fitted: Array = target @ v.T @ np.linalg.inv(v @ v.T + penalty * np.eye(len(v)))
    return fitted


def transcription(
    chunks: list[Chunk], r: int, *, weight: float, gamma: float
) -> tuple[Array, list[Array], list[Array]]:
    """All V (r, n), all centred features and the bases, by the updates on all data ever seen."""
    rng = np.random.default_rng(0)
    u = [rng.standard_normal((d, r)) for d in (6, 5)]
    a = (weight, 1 - weight)
    raw: list[list[Array]] = [[], []]
    x: list[Array] = [np.empty((d, 0)) for d in (6, 5)]
    v = np.empty((r, 0))
    for chunk in chunks:
        new = []
        for m, modality in enumerate(MODALITIES):
            raw[m].append(chunk.batch(modality).features.astype(float).T)
            new.append(raw[m][-1] - np.concatenate(raw[m], axis=1).mean(axis=1, keepdims=True))
        x = [np.hstack(pair) for pair in zip(x, new, strict=True)]
        for _ in range(20):
            pull = a[0] * u[0].T @ u[0] + a[1] * u[1].T @ u[1] + gamma * np.eye(r)
            arrived = np.linalg.inv(pull) @ (a[0] * u[0].T @ new[0] + a[1] * u[1].T @ new[1])
            u = [ridge(x[m], np.hstack([v, arrived]), gamma) for m in (0, 1)]
        v = np.hstack([v, arrived])
    return v, x, u


@pytest.mark.parametrize("sizes", [(95,), (40, 30, 25), (60, 2, 33)])
def test_chunkwise_sums_give_what_the_equations_give_on_all_data(
    sizes: tuple[int, ...], shifted_stream: Stream
) -> None:
    chunks = shifted_stream(*sizes)
    method = fit(OCMH(bits=3, weight=0.3, gamma=0.5), chunks)
    v, x, u = transcription(chunks, 3, weight=0.3, gamma=0.5)
    np.testing.assert_allclose(np.concatenate(method.latents_), v.T, rtol=1e-6, atol=1e-9)
    for m, modality in enumerate(MODALITIES):
        w = ridge(v, x[m], 0.5)
        transfer = ridge(w @ x[m], v, 0.5)
        np.testing.assert_allclose(method.u_[modality], u[m], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(method.w_[modality], w.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(method.transfer_[modality], transfer.T, rtol=1e-6, atol=1e-9)
        projected = (transfer @ v).T
        expected = sign(projected - projected.mean(axis=0))
        np.testing.assert_array_equal(method.update_database(modality), expected)


def test_a_query_is_centred_with_the_mean_of_the_items_seen(shifted_stream: Stream) -> None:
    chunks = shifted_stream(40, 30)
    method = fit(OCMH(bits=8), chunks)
    x = np.concatenate([c.image.features for c in chunks]).astype(float)
    expected = sign((x - x.mean(axis=0)) @ method.w_["image"])
    np.testing.assert_array_equal(method.encode(Batch(x.astype(np.float32)), "image"), expected)


def test_latent_codes_stay_as_they_were(shifted_stream: Stream) -> None:
    method, (first, second) = OCMH(bits=16), shifted_stream(40, 30)
    method.fit_chunk(first)
    latent = method.latents_[0].copy()
    method.fit_chunk(second)
    np.testing.assert_array_equal(method.latents_[0], latent)


def test_learned_codes_of_the_two_modalities_differ_and_are_near_to_each_other(
    shifted_stream: Stream,
) -> None:
    method = fit(OCMH(bits=16), shifted_stream(40, 30))
    image, text = (method.update_database(m) for m in MODALITIES)
    assert 0 < (image != text).mean() < 0.25
