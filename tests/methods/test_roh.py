"""ROH, our reconstruction, against its objective, a plain transcription, and the features' directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from bench.api import MODALITIES, Chunk, Modality
from bench.methods._codes import normalise_labels
from bench.methods._online import RunningGram
from bench.methods.roh import ROH, Axes, sweep

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]
Pair = dict[Modality, Array]
WEIGHTS: dict[str, Any] = {"alpha": 0.8, "beta": 1.7, "mu": 2.5, "gamma": 0.3}


def main_directions(x: Array, k: int) -> Array:
    """The scores (n, k) of x along its k directions of largest variance."""
    centred = x - x.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    scores: Array = left[:, :k] * scale[:k]
    return scores


def objective(
    g: Array, b: Pair, z: Pair, d: Array, *, alpha: float, beta: float, mu: float, gamma: float
) -> float:
    """With the best R_m put in."""
    total = gamma * np.square(d).sum()
    for m in MODALITIES:
        codes = b[m] / np.sqrt(b[m].shape[1])
        r = np.linalg.lstsq(z[m], codes)[0]
        total += alpha * np.square(codes - g @ d).sum() + beta * np.square(g - codes @ d.T).sum()
        total += mu * np.square(codes - z[m] @ r).sum()
    return float(total)


def transcription(chunks: list[Chunk], r: int, k: int) -> tuple[list[Pair], list[float]]:
    """Codes of every chunk, all old data kept, and the objective over all items after every iteration."""
    rng, (alpha, beta, mu, gamma) = np.random.default_rng(0), WEIGHTS.values()
    given: list[Pair] = []
    values: list[float] = []
    for t, chunk in enumerate(chunks):
        n, seen = len(chunk), chunks[: t + 1]
        g = np.concatenate([normalise_labels(c.labels) for c in seen if c.labels is not None])
        z = {
            m: main_directions(np.concatenate([c.batch(m).features for c in seen]).astype(float), k)
            for m in MODALITIES
        }
        new = {m: np.where(rng.standard_normal((n, r)) >= 0, 1.0, -1.0) for m in MODALITIES}
        for _ in range(10):
            b = {m: np.concatenate([*(old[m] for old in given), new[m]]) for m in MODALITIES}
            left = 2 * alpha * g.T @ g + gamma * np.eye(g.shape[1])
            right = beta / r * sum(b[m].T @ b[m] for m in MODALITIES)
            target = (alpha + beta) / np.sqrt(r) * sum(g.T @ b[m] for m in MODALITIES)
            d = solve_sylvester(left, right, target)
            for m in MODALITIES:
                fit = z[m] @ np.linalg.lstsq(z[m], b[m] / np.sqrt(r))[0]
                told = np.sqrt(r) * ((alpha + beta) * g @ d + mu * fit)[-n:]
                for bit in range(r):
                    others = new[m] @ d.T @ d[:, bit] - new[m][:, bit] * (d.T @ d)[bit, bit]
                    new[m][:, bit] = np.where(told[:, bit] - beta * others >= 0, 1, -1)
            b = {m: np.concatenate([*(old[m] for old in given), new[m]]) for m in MODALITIES}
            values.append(objective(g, b, z, d, **WEIGHTS))
        given.append(new)
    return given, values


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("sizes", [(40,), (40, 30, 35)])
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(
    sizes: tuple[int, ...], k: int, label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(*sizes)
    expected, _ = transcription(chunks, 6, k)
    for m in MODALITIES:
        found = codes_of(ROH(bits=6, directions=k, **WEIGHTS), chunks, m)
        np.testing.assert_array_equal(found, np.concatenate([b[m] for b in expected]))


def test_no_update_raises_the_objective(label_stream: Stream) -> None:
    _, values = transcription(label_stream(60), 6, 2)
    assert (np.diff(values) <= 1e-9).all() and values[-1] < values[0] - 1


def test_the_bridge_minimises_the_objective(label_stream: Stream, codes_of: CodesOf) -> None:
    (chunk,), method = label_stream(50), ROH(bits=5, **WEIGHTS)
    method.fit_chunk(chunk)
    assert chunk.labels is not None
    g = normalise_labels(chunk.labels)
    b = {m: method.encode_database(chunk, m).astype(float) for m in MODALITIES}
    z = {m: main_directions(chunk.batch(m).features.astype(float), 1) for m in MODALITIES}
    d = method._bridge(method.sums_)
    best = objective(g, b, z, d, **WEIGHTS)
    rng = np.random.default_rng(0)
    assert all(
        best < objective(g, b, z, d + 1e-3 * rng.standard_normal(d.shape), **WEIGHTS) for _ in range(20)
    )


def test_every_bit_takes_its_best_value() -> None:
    rng = np.random.default_rng(0)
    b, told, a = rng.choice([-1.0, 1.0], (1, 4)), rng.standard_normal((1, 4)), rng.standard_normal((4, 4))

    def value(codes: Array) -> float:
        return float(np.trace(codes @ a @ a.T @ codes.T) - 2 * np.trace(codes @ told.T))

    by_hand = b.copy()
    for k in range(4):
        options = [np.where(np.arange(4) == k, bit, by_hand) for bit in (1.0, -1.0)]
        by_hand = min(options, key=value)
    np.testing.assert_array_equal(sweep(b, told, a @ a.T), by_hand)


@pytest.mark.parametrize("cuts", [[], [30], [10, 11, 50]])
def test_directions_are_those_of_all_features_however_they_are_cut(cuts: list[int]) -> None:
    x = np.random.default_rng(0).standard_normal((60, 5)) * [5, 4, 3, 2, 1] + 7
    gram = RunningGram()
    for rows in np.split(np.arange(60), cuts):
        gram.add(x[rows])
    axes = Axes.of(gram, x.mean(axis=0), x.astype(np.float32), 2)
    expected = main_directions(x, 2)[:, ::-1]
    np.testing.assert_allclose(np.abs(axes.scores), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(axes.power, np.square(expected).sum(axis=0))


def test_codes_of_the_two_modalities_follow_their_own_main_direction(label_stream: Stream) -> None:
    (chunk,) = label_stream(200)
    followed = []
    for mu in (0.0, 50.0):
        method = ROH(bits=16, mu=mu)
        method.fit_chunk(chunk)
        share = []
        for m in MODALITIES:
            z = main_directions(chunk.batch(m).features.astype(float), 1)
            b = method.encode_database(chunk, m).astype(float)
            explained = z @ np.linalg.lstsq(z, b)[0]
            share.append(np.square(explained).sum() / b.size)
        followed.append(share)
    assert followed[1][0] > followed[0][0] + 0.1 and followed[1][1] > followed[0][1] + 0.1


def test_more_directions_than_features_are_all_of_them(label_stream: Stream, codes_of: CodesOf) -> None:
    many, all_of_them = (codes_of(ROH(bits=8, directions=k), label_stream(40)) for k in (50, 6))
    np.testing.assert_array_equal(many, all_of_them)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_the_codes_of_their_modality(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(*sizes)
    for m in MODALITIES:
        method = ROH(bits=8, xi=0.3)
        codes = codes_of(method, chunks, m).astype(float)
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_wiki_map_is_well_above_chance(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: ROH(bits=32, seed=seed))
    assert found["i2t"] > 0.25 and found["t2i"] > 0.6  # chance is 0.108
