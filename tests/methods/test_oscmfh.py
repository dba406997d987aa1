"""OSCMFH against the authors' code and a plain transcription that keeps all old data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Shared, sign
from bench.errors import ParameterError
from bench.methods.oscmfh import OSCMFH

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
AUTHORS = OSCMFH.presets["authors"]


def fit(method: OSCMFH, chunks: list[Chunk]) -> OSCMFH:
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


def all_labels(chunks: list[Chunk]) -> Array:
    return np.concatenate([c.labels for c in chunks if c.labels is not None])


def require_finite(method: OSCMFH) -> None:
    for found in (method.u_, method.p_, method.w_):
        assert all(np.isfinite(matrix).all() for matrix in found.values())
    assert method.latents_ is not None and np.isfinite(method.latents_.total).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "i2t", "t2i"),
    [(AUTHORS, 0.324, 0.706), ({**AUTHORS, "center_query": True}, 0.350, 0.709), ({}, 0.350, 0.709)],
    ids=["authors", "centred", "default"],
)
def test_wiki_map_is_that_of_the_authors_code(
    settings: dict[str, Any], i2t: float, t2i: float, wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: OSCMFH(bits=32, seed=seed, **settings))
    assert found == pytest.approx({"i2t": i2t, "t2i": t2i}, abs=0.03)


class Transcription:
    """The default's updates with samples in columns and every X, V and L kept, old V re-hashed at once."""

    def __init__(self, r: int, *, weight: float, mu: float, gamma: float, tolerance: float) -> None:
        self.sizes = (3 * r // 4, r // 4, r // 4)
        self.w, self.mu, self.gamma, self.tolerance = (weight, 1 - weight), mu, gamma, tolerance
        rng = np.random.default_rng(0)
        self.z = [rng.random((size, 4)) for size in self.sizes]
        self.raw: list[list[Array]] = [[], []]
        self.x: list[Array] = []  # all features, as they were centred in their round
        self.labels = np.empty((4, 0))
        self.fitted = [np.empty((size, 0)) for size in self.sizes]  # V, V_1, V_2 as they were learned
        self.v = [np.empty((size, 0)) for size in self.sizes]  # as they are now
        self.sweeps: list[int] = []

    def fit(self, chunk: Chunk) -> None:
        assert chunk.labels is not None
        labels = chunk.labels.T.astype(float)
        new = []
        for m, modality in enumerate(MODALITIES):
            self.raw[m].append(chunk.batch(modality).features.astype(float).T)
            new.append(self.raw[m][-1] - np.concatenate(self.raw[m], axis=1).mean(axis=1, keepdims=True))
        first = not self.x
        self.x = new if first else [np.hstack(pair) for pair in zip(self.x, new, strict=True)]
        if not first:
            before = self.bases()
            self.solve(new, labels)
        last = np.inf
        for _sweep in range(40):
            everything = [np.hstack([f, z @ labels]) for f, z in zip(self.fitted, self.z, strict=True)]
            gamma = [self.gamma / w for w in self.w]
            self.u = [self.ridge(self.x[m], everything[0], gamma[m]) for m in (0, 1)]
            self.p = [self.ridge(self.x[m], everything[1 + m], gamma[m]) for m in (0, 1)]
            self.q = self.ridge(everything[2], everything[1], self.gamma / self.mu)
            self.solve(new, labels)
            value = self.objective(new, labels)
            if abs(last - value) < self.tolerance:
                break
            last = value
        self.sweeps.append(_sweep)
        v = [z @ labels for z in self.z]
        if not first:
            for i, (now, then) in enumerate(zip(self.bases(), before, strict=True)):
                step = np.linalg.inv(now.T @ now + self.gamma * np.eye(now.shape[1])) @ now.T @ then
                self.v[i] = step @ self.v[i] @ np.linalg.pinv(self.labels) @ self.labels
        self.labels = np.hstack([self.labels, labels])
        self.v = [np.hstack(pair) for pair in zip(self.v, v, strict=True)]
        self.fitted = [np.hstack(pair) for pair in zip(self.fitted, v, strict=True)]

    @staticmethod
    def ridge(target: Array, v: Array, penalty: float) -> Array:
        fitted: Array = target @ v.T @ np.linalg.inv(v @ v.T + penalty * np.eye(len(v)))
        return fitted

    def bases(self) -> list[Array]:
        return [
            np.vstack([w * u for w, u in zip(self.w, self.u, strict=True)]),
            *map(np.multiply, self.w, self.p),
        ]

    def solve(self, x: list[Array], labels: Array) -> None:
        """Z of the V = Z L that minimises the objective, by one least-squares problem for V_1 and V_2."""
        tie = np.linalg.pinv(labels)
        one, two, gamma = *(np.sqrt(self.w)), np.sqrt(self.gamma)
        shared, quarter = self.sizes[0], self.sizes[1]
        stacked = np.vstack([one * self.u[0], two * self.u[1], gamma * np.eye(shared)])
        target = np.vstack([one * x[0], two * x[1], np.zeros((shared, labels.shape[1]))])
        z = np.linalg.lstsq(stacked, target @ tie, rcond=None)[0]
        nothing = np.zeros((quarter, quarter))
        system = np.vstack(
            [
                np.hstack([one * self.p[0], np.zeros((len(self.p[0]), quarter))]),
                np.hstack([np.zeros((len(self.p[1]), quarter)), two * self.p[1]]),
                np.sqrt(self.mu) * np.hstack([-self.q, np.eye(quarter)]),
                gamma * np.hstack([np.eye(quarter), nothing]),
                gamma * np.hstack([nothing, np.eye(quarter)]),
            ]
        )
        padding = np.zeros((3 * quarter, labels.shape[1]))
        both = np.linalg.lstsq(system, np.vstack([one * x[0], two * x[1], padding]) @ tie, rcond=None)[0]
        self.z = [z, both[:quarter], both[quarter:]]

    def objective(self, x: list[Array], labels: Array) -> float:
        norm, (v, one, two) = np.linalg.norm, (z @ labels for z in self.z)
        value = self.mu * norm(two - self.q @ one)
        for m, own in ((0, one), (1, two)):
            value += self.w[m] * (norm(x[m] - self.u[m] @ v) + norm(x[m] - self.p[m] @ own))
        ridges = [*self.u, *self.p, self.q, v, one, two]
        return float(value + self.gamma * sum(norm(matrix) for matrix in ridges))


@pytest.mark.parametrize("sizes", [(95,), (40, 30, 25), (60, 2, 33)])
def test_sums_and_lazy_re_hashing_give_what_the_updates_give_on_all_data(
    sizes: tuple[int, ...], shifted_stream: Stream
) -> None:
    settings: dict[str, Any] = {"weight": 0.3, "mu": 0.5, "gamma": 0.1, "tolerance": 0.01}
    method, plain = OSCMFH(bits=8, **settings), Transcription(8, **settings)
    for chunk in shifted_stream(*sizes):
        method.fit_chunk(chunk)
        plain.fit(chunk)
    assert plain.sweeps[0] > 2
    coded = np.vstack([plain.fitted[0], plain.fitted[2]])
    for m, modality in enumerate(MODALITIES):
        np.testing.assert_allclose(method.u_[modality], plain.u[m], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(method.p_[modality], plain.p[m], rtol=1e-6, atol=1e-8)
        w = plain.ridge(coded, plain.x[m], 0.1).T
        np.testing.assert_allclose(method.w_[modality], w, rtol=1e-6, atol=1e-8)
    v = np.vstack([plain.v[0], plain.v[2]])
    np.testing.assert_allclose(method._mean, v.mean(axis=1), atol=1e-9)
    centred = (v - v.mean(axis=1, keepdims=True)).T
    np.testing.assert_array_equal(method.update_database("text"), sign(centred))


@pytest.mark.parametrize("center", [True, False])
def test_queries_are_thresholded_at_the_mean_of_all_latent_vectors(
    center: bool, shifted_stream: Stream
) -> None:
    chunks = shifted_stream(40, 30)
    method = fit(OSCMFH(bits=8, center_query=center), chunks)
    assert method.latents_ is not None
    first, second = (c.labels for c in chunks)
    assert first is not None and second is not None
    now = np.concatenate([first @ method.latents_.old, second @ method.latents_.new])
    mean = np.delete(now.mean(axis=0), [6, 7])  # V_1 makes no bit
    raw = np.concatenate([c.image.features for c in chunks]).astype(float)
    x = raw - raw.mean(axis=0) if center else raw
    expected = sign(x @ method.w_["image"] - mean)
    np.testing.assert_array_equal(method.encode(Batch(raw.astype(np.float32)), "image"), expected)


@pytest.mark.parametrize("bits", [1, 6, 30])
def test_bits_must_be_a_multiple_of_four(bits: int) -> None:
    with pytest.raises(ParameterError, match=f"multiple of 4.*got {bits}"):
        OSCMFH(bits=bits)


def test_re_hashing_makes_old_codes_a_function_of_the_labels(shifted_stream: Stream) -> None:
    method, chunks = OSCMFH(bits=16), shifted_stream(60, 50, 30)
    fit(method, chunks)
    codes, labels = method.update_database("image")[:110], all_labels(chunks[:2])
    for one in np.unique(labels, axis=0):
        assert len(np.unique(codes[(labels == one).all(axis=1)], axis=0)) == 1


@pytest.mark.parametrize("settings", [{}, AUTHORS], ids=["default", "authors"])
def test_a_class_that_was_never_seen_before_leaves_the_old_codes_apart(
    settings: dict[str, Any], shifted_stream: Stream
) -> None:
    chunks = shifted_stream(60, 60, 60)
    first, second, third = (c.labels for c in chunks)
    assert first is not None and second is not None and third is not None
    first[:, 2:] = 0
    second[:, :2] = 0
    method = fit(OSCMFH(bits=16, **settings), chunks)
    require_finite(method)
    codes = method.update_database("text")
    only = [(all_labels(chunks) == np.eye(4)[c]).all(axis=1) for c in range(4)]
    of_class = [codes[:120][mask[:120]] for mask in only]
    assert all(len(np.unique(found, axis=0)) == 1 for found in of_class)
    assert len(np.unique([found[0] for found in of_class], axis=0)) == 4


@pytest.mark.parametrize("settings", [{}, AUTHORS], ids=["default", "authors"])
def test_items_without_labels_are_safe_and_get_the_code_of_the_threshold(
    settings: dict[str, Any], shifted_stream: Stream
) -> None:
    chunks = shifted_stream(40, 40, 40)
    for chunk, bare in zip(chunks, (slice(10), slice(5), slice(None)), strict=True):
        assert chunk.labels is not None
        chunk.labels[bare] = 0
    method = fit(OSCMFH(bits=16, **settings), chunks)
    require_finite(method)
    codes = method.update_database("image")[all_labels(chunks).sum(axis=1) == 0]
    np.testing.assert_array_equal(codes, np.broadcast_to(sign(-method._mean), codes.shape))


def flipped(method: Callable[[], OSCMFH], chunks: list[Chunk]) -> float:
    """The share of learned bits that another tenth digit in every image feature changes."""
    rng = np.random.default_rng(1)
    codes = []
    for size in (0.0, 1e-9):
        images: list[Any] = [
            c.image.features * (1 + size * rng.standard_normal(c.image.features.shape)) for c in chunks
        ]
        pairs = zip(chunks, images, strict=True)
        near = [replace(c, image=Batch(image), shared=Shared()) for c, image in pairs]
        codes.append(fit(method(), near).update_database("image"))
    return float((codes[0] != codes[1]).mean())


def test_the_stable_preset_takes_the_decision_about_bits_from_rounding(label_stream: Stream) -> None:
    chunks = label_stream(60, 50, 40, classes=6, single=True, noise=1.0)
    assert flipped(lambda: OSCMFH(bits=32), chunks) > 0.05
    assert flipped(lambda: OSCMFH(bits=32, **OSCMFH.presets["stable"]), chunks) == 0


@pytest.mark.parametrize(
    ("bits", "settings", "count"),
    [
        (4, {}, 0),
        (8, {}, 1),
        (8, OSCMFH.presets["stable"], 0),
        (8, AUTHORS, 1),
        (8, {**AUTHORS, "noise": 1e-3}, 1),
    ],
)
def test_a_record_says_where_rounding_may_decide(
    bits: int, settings: dict[str, Any], count: int, shifted_stream: Stream
) -> None:
    notes = fit(OSCMFH(bits=bits, **settings), shifted_stream(40)).notes()
    assert len(notes) == count
    assert all("3/4 of the bits exceed the 4 classes" in note for note in notes)
