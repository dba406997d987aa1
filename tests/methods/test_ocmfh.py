"""OCMFH against the authors' code and a plain transcription that keeps all old data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, sign
from bench.methods._factorisation import carry_over, joined, residual, solve_right
from bench.methods._online import RunningGram
from bench.methods.ocmfh import OCMFH, Latents

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
AUTHORS = OCMFH.presets["authors"]


def fit(method: OCMFH, chunks: list[Chunk]) -> OCMFH:
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "i2t", "t2i"),
    [(AUTHORS, 0.175, 0.455), ({**AUTHORS, "center_query": True}, 0.202, 0.457), ({}, 0.217, 0.505)],
    ids=["authors", "centred", "default"],
)
def test_wiki_map_is_that_of_the_authors_code(
    settings: dict[str, Any], i2t: float, t2i: float, wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: OCMFH(bits=32, seed=seed, **settings))
    assert found == pytest.approx({"i2t": i2t, "t2i": t2i}, abs=0.03)


class Transcription:
    """The updates on all data: samples in columns, every old X and V kept, old V re-hashed at once."""

    def __init__(self, r: int, *, weight: float, mu: float, gamma: float, tolerance: float) -> None:
        self.r, self.w, self.mu, self.gamma = r, (weight, 1 - weight), mu, gamma
        self.tolerance = tolerance
        self.rng = np.random.default_rng(0)
        self.raw: list[list[Array]] = [[], []]
        self.x: list[Array] = []  # all features, as they were centred in their round
        self.fitted = np.empty((r, 0))  # all V as they were learned, which the sums are made of
        self.v = np.empty((r, 0))  # all V as they are now
        self.u: list[Array] = []
        self.sweeps: list[int] = []

    def fit(self, chunk: Chunk) -> None:
        new = []
        for m, modality in enumerate(MODALITIES):
            self.raw[m].append(chunk.batch(modality).features.astype(float).T)
            new.append(self.raw[m][-1] - np.concatenate(self.raw[m], axis=1).mean(axis=1, keepdims=True))
        first = not self.u
        self.x = new if first else [np.hstack(pair) for pair in zip(self.x, new, strict=True)]
        if first:
            v = self.rng.random((self.r, len(chunk)))
            self.p = [self.rng.random((self.r, len(x))) for x in new]
        else:
            v, before = self.latent(new), self.stacked()
        last = np.inf
        for _sweep in range(100 if first else 10):
            everything = np.hstack([self.fitted, v])
            self.u = [self.ridge(x.T, everything.T, self.gamma / self.w[m]) for m, x in enumerate(self.x)]
            v = self.latent(new)
            everything = np.hstack([self.fitted, v])
            self.p = [self.ridge(everything.T, x.T, self.gamma / self.mu) for x in self.x]
            value = self.objective(new, v)
            if first and last - value < self.tolerance:
                break
            last = value
        self.sweeps.append(_sweep)
        if not first:
            now = self.stacked()
            self.v = np.linalg.inv(now.T @ now + self.gamma * np.eye(self.r)) @ now.T @ before @ self.v
        self.v, self.fitted = np.hstack([self.v, v]), np.hstack([self.fitted, v])

    @staticmethod
    def ridge(target: Array, x: Array, penalty: float) -> Array:
        """The W that minimises ‖targetᵀ - W xᵀ‖² + penalty·‖W‖²."""
        fitted: Array = target.T @ x @ np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
        return fitted

    def latent(self, x: list[Array]) -> Array:
        pull = (2 * self.mu + self.gamma) * np.eye(self.r)
        right = np.zeros((self.r, x[0].shape[1]))
        for m in (0, 1):
            pull += self.w[m] * self.u[m].T @ self.u[m]
            right += (self.w[m] * self.u[m].T + self.mu * self.p[m]) @ x[m]
        return np.linalg.inv(pull) @ right

    def stacked(self) -> Array:
        return np.vstack([w * u for w, u in zip(self.w, self.u, strict=True)])

    def objective(self, x: list[Array], v: Array) -> float:
        norm = np.linalg.norm
        value = self.gamma * norm(v)
        for m in (0, 1):
            value += self.w[m] * norm(x[m] - self.u[m] @ v) + self.mu * norm(v - self.p[m] @ x[m])
            value += self.gamma * (norm(self.u[m]) + norm(self.p[m]))
        return float(value)


@pytest.mark.parametrize("sizes", [(95,), (40, 30, 25), (60, 2, 33)])
def test_sums_and_lazy_re_hashing_give_what_the_updates_give_on_all_data(
    sizes: tuple[int, ...], shifted_stream: Stream
) -> None:
    settings: dict[str, Any] = {"weight": 0.3, "mu": 2.0, "gamma": 0.1, "tolerance": 0.01}
    method, plain = OCMFH(bits=4, **settings), Transcription(4, **settings)
    for chunk in shifted_stream(*sizes):
        method.fit_chunk(chunk)
        plain.fit(chunk)
    assert 3 < plain.sweeps[0] < 99  # stopped by the objective
    for m, modality in enumerate(MODALITIES):
        np.testing.assert_allclose(method.u_[modality], plain.u[m], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(method.p_[modality], plain.p[m].T, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(method.latents_.mean, plain.v.mean(axis=1), atol=1e-10)
    centred = (plain.v - plain.v.mean(axis=1, keepdims=True)).T
    np.testing.assert_array_equal(method.update_database("text"), sign(centred))


def test_lazy_codes_are_those_of_latent_vectors_that_follow_every_step() -> None:
    rng, lazy, eager = np.random.default_rng(0), Latents(), np.empty((0, 3))
    for n in (5, 1, 4, 7):
        v, step = rng.standard_normal((n, 3)), rng.standard_normal((3, 3)) if len(eager) else None
        lazy.add(v, step)
        eager = np.concatenate([eager if step is None else eager @ step, v])
        np.testing.assert_allclose(lazy.mean, eager.mean(axis=0))
        np.testing.assert_array_equal(lazy.codes(), sign(eager - eager.mean(axis=0)))


@pytest.mark.parametrize("center", [True, False])
def test_queries_are_thresholded_at_the_mean_of_all_latent_vectors(
    center: bool, shifted_stream: Stream
) -> None:
    chunks = shifted_stream(40, 30)
    method = fit(OCMFH(bits=8, center_query=center), chunks)
    latents = method.latents_
    now = np.concatenate([latents.parts[0] @ latents.steps[0], latents.parts[1]])
    raw = np.concatenate([c.image.features for c in chunks]).astype(float)
    x = raw - raw.mean(axis=0) if center else raw
    expected = sign(x @ method.p_["image"] - now.mean(axis=0))
    np.testing.assert_array_equal(method.encode(Batch(raw.astype(np.float32)), "image"), expected)


@pytest.mark.parametrize("settings", [{}, AUTHORS], ids=["default", "authors"])
def test_features_enter_the_gram_matrix_once_or_in_every_update(
    settings: dict[str, Any], shifted_stream: Stream
) -> None:
    chunks = shifted_stream(30, 20, 25)
    method = fit(OCMFH(bits=4, iterations=3, **settings), chunks)
    times = [1, 3, 3] if settings else [1, 1, 1]
    raw = [c.text.features.astype(float) for c in chunks]
    expected = 0.0
    for t, weight in enumerate(times):
        x = raw[t] - np.concatenate(raw[: t + 1]).mean(axis=0)
        expected = expected + weight * x.T @ x
    gram = method.gram_["text"].gram
    assert gram is not None
    np.testing.assert_allclose(np.tril(gram), np.tril(expected), rtol=1e-5)


def test_how_often_old_codes_are_asked_for_does_not_matter(shifted_stream: Stream) -> None:
    asked, left = OCMFH(bits=16), OCMFH(bits=16)
    for chunk in shifted_stream(40, 30, 30):
        asked.fit_chunk(chunk)
        left.fit_chunk(chunk)
        asked.update_database("image")
    np.testing.assert_array_equal(asked.update_database("text"), left.update_database("text"))


def test_carry_over_keeps_what_latent_vectors_stand_for_where_only_the_coordinates_change() -> None:
    rng = np.random.default_rng(0)
    old = {m: rng.standard_normal((7, 3)) for m in MODALITIES}
    turn, v = rng.standard_normal((3, 3)), rng.standard_normal((5, 3))
    new = {m: old[m] @ turn for m in MODALITIES}
    now = v @ carry_over(new, old, {"image": 0.2, "text": 0.8}, 1e-12)
    for m in MODALITIES:
        np.testing.assert_allclose(now @ new[m].T, v @ old[m].T, atol=1e-8)


def test_joined_gram_matrices_change_neither() -> None:
    x = np.random.default_rng(0).standard_normal((9, 3))
    one, other = RunningGram().add(x[:4]), RunningGram().add(x[4:])
    assert one.gram is not None
    kept = one.gram.copy()
    both = joined(one, other)
    assert both.gram is not None
    np.testing.assert_allclose(np.tril(both.gram), np.tril(x.T @ x))
    np.testing.assert_array_equal(one.gram, kept)
    assert both.n == 9 and joined(RunningGram(), other).n == 5


def test_solve_right_survives_a_matrix_of_zeros_and_one_without_full_rank() -> None:
    rng = np.random.default_rng(0)
    assert (solve_right(np.zeros((2, 3)), np.zeros((3, 3)), 0.0) == 0).all()
    thin = rng.standard_normal((3, 2))
    gram = thin @ thin.T
    found = solve_right(rng.standard_normal((4, 3)) @ gram, gram, 0.0)
    assert np.isfinite(found).all()
    right = rng.standard_normal((4, 3))
    np.testing.assert_allclose(solve_right(right, gram, 0.5) @ (gram + 0.5 * np.eye(3)), right)


def test_residual_is_the_norm_of_what_a_basis_leaves() -> None:
    rng = np.random.default_rng(0)
    x, v, u = rng.standard_normal((9, 4)), rng.standard_normal((9, 2)), rng.standard_normal((4, 2))
    found = residual(float((x * x).sum()), x.T @ v, u, v.T @ v)
    assert found == pytest.approx(float(np.linalg.norm(x - v @ u.T)))
    exact = v @ u.T
    assert residual(float((exact * exact).sum()), exact.T @ v, u, v.T @ v) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("bits", "settings", "count"),
    [(4, AUTHORS, 0), (16, AUTHORS, 1), (16, {}, 0)],
    ids=["few", "many", "default"],
)
def test_a_record_says_where_a_singular_matrix_was_inverted(
    bits: int, settings: dict[str, Any], count: int, shifted_stream: Stream
) -> None:
    method = fit(OCMFH(bits=bits, **{**settings, "tolerance": 0.0}), shifted_stream(60, 60))
    assert len(method.notes()) == count
