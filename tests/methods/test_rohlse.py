"""ROHLSE against the authors' code, and what its cleaning of labels does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Shared
from bench.methods._anchors import anchor_features
from bench.methods._codes import (
    balanced_orthogonal,
    codes_from_labels,
    flips,
    leading_directions,
    leading_scores,
    normalise_labels,
)
from bench.methods.rohlse import ROHLSE

Array = np.ndarray[Any, Any]
CodesOf = Callable[..., Array]


def labelled(labels: Array, *, seed: int = 0, round: int = 0) -> Chunk:
    """Pairs whose two feature vectors are noisy linear images of their labels (n, 6)."""
    rng, maps = np.random.default_rng(seed), np.random.default_rng(99)
    image, text = (
        (labels @ maps.standard_normal((6, d)) + 0.2 * rng.standard_normal((len(labels), d))).astype(
            np.float32
        )
        for d in (12, 9)
    )
    ids = np.arange(len(labels))
    return Chunk(round=round, image=Batch(image), text=Batch(text), labels=labels, ids=ids)


def make(n: int, *, seed: int = 0, round: int = 0) -> Chunk:
    labels = (np.random.default_rng([seed, 1]).random((n, 6)) < 0.3).astype(np.uint8)
    return labelled(labels, seed=seed, round=round)


def stream(*sizes: int) -> list[Chunk]:
    return [make(n, seed=t, round=t) for t, n in enumerate(sizes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "reference"),
    [({**ROHLSE.presets["authors"], "anchors": 300}, (0.237, 0.527)), ({}, (0.296, 0.661))],
    ids=["authors", "default"],
)
def test_wiki_map_is_that_of_reference_implementations(
    settings: dict[str, Any], reference: tuple[float, float], wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: ROHLSE(bits=32, seed=seed, **settings))
    assert (found["i2t"], found["t2i"]) == pytest.approx(reference, abs=0.03)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(
    sizes: tuple[int, ...], codes_of: CodesOf
) -> None:
    method, chunks = ROHLSE(bits=8, lam=0.3, anchors=20), stream(*sizes)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([method.maps_[m](c.batch(m).features) for c in chunks])
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-7, atol=1e-9)


def test_codes_from_sums_are_what_the_updates_give_on_all_labels_and_embeddings() -> None:
    """With S = YYᵀ between new and all items formed, and old embeddings kept."""
    rng = np.random.default_rng(0)
    r, pull = 6, 0.5
    sums: Array | float = 0.0
    old_v: list[Array] = []
    old_y: list[Array] = []
    for n in (40, 25, 30):
        targets = [normalise_labels(rng.random((n, 7)) * (rng.random((n, 7)) < 0.5)) for _ in range(5)]
        start = rng.standard_normal((n, r))
        balanced = partial(balanced_orthogonal, rng=np.random.default_rng(1))
        b, sums = codes_from_labels(targets, start, sums, pull=pull, inside=False, balanced=balanced)
        v = start
        for before, after in pairwise(targets):
            similar = before @ np.concatenate([*old_y, before]).T
            expected = np.where(r * similar @ np.concatenate([*old_v, v]) + pull * v >= 0, 1.0, -1.0)
            z = r * after @ after.T @ expected + pull * expected
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(n) * left @ right
        np.testing.assert_array_equal(b, expected)
        old_v.append(v)
        old_y.append(targets[-1])


def test_a_chunk_enters_the_sums_once_or_in_every_iteration() -> None:
    y, v = normalise_labels(np.eye(4)[np.arange(20) % 4]), np.random.default_rng(0).standard_normal((20, 3))
    sums = {
        inside: codes_from_labels(
            [y] * 6, v, np.zeros((3, 4)), pull=1.0, inside=inside, balanced=lambda _: v
        )[1]
        for inside in (True, False)
    }
    np.testing.assert_allclose(sums[False], v.T @ y)
    np.testing.assert_allclose(sums[True], 5 * v.T @ y)


def cleaned(method: ROHLSE, chunk: Chunk, labels: Array) -> Array:
    """The labels Y that the codes of a chunk with these labels are made from."""
    method.fit_chunk(replace(chunk, labels=labels, shared=Shared()))
    method.predicted_ = {
        m: np.zeros_like(method.predicted_[m]) for m in MODALITIES
    }  # as if it were the first
    x = anchor_features(chunk, method.maps_)
    factors = method._factors(chunk, method.lam / method.mu)
    found: Array = method._clean(labels.astype(float), x, factors, False)[1][-1]
    return found


@pytest.mark.parametrize("gradient", ["exact", "code"])
def test_cleaning_brings_wrong_labels_of_low_rank_nearer_to_the_truth(
    gradient: Literal["exact", "code"],
) -> None:
    rng = np.random.default_rng(0)
    sets = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]], dtype=np.uint8)
    chunk = labelled(sets[rng.integers(3, size=300)])
    assert chunk.labels is not None
    wrong = np.where(rng.random((300, 6)) < 0.1, 1 - chunk.labels, chunk.labels)
    truth, given = normalise_labels(chunk.labels), normalise_labels(wrong)
    found = cleaned(ROHLSE(bits=8, anchors=100, gradient=gradient), chunk, wrong)
    assert np.square(found - truth).sum() < 0.95 * np.square(given - truth).sum()


def test_components_are_those_of_the_covariance_with_a_sign_of_their_own() -> None:
    x = np.random.default_rng(0).standard_normal((40, 5)) * [1, 5, 2, 4, 3] + 7
    found = leading_directions(x)
    covariance = np.cov(x.T)
    values = np.diag(found.T @ covariance @ found)
    np.testing.assert_allclose(found.T @ covariance @ found, np.diag(values), atol=1e-9)
    assert (np.diff(values) < 0).all()
    assert (found[np.abs(found).argmax(axis=0), range(5)] > 0).all()


def test_bits_beyond_the_features_start_at_random() -> None:
    x = np.random.default_rng(0).standard_normal((40, 5))
    found = leading_scores(x, leading_directions(x), 8, np.random.default_rng(1))
    np.testing.assert_allclose(found[:, :5], x @ leading_directions(x), atol=1e-12)
    np.testing.assert_array_equal(found[:, 5:], np.random.default_rng(1).standard_normal((40, 3)))


def test_queries_are_not_thresholded_at_the_mean_of_their_batch() -> None:
    method, chunk = ROHLSE(bits=16, anchors=40), make(80)
    method.fit_chunk(chunk)
    alike = Batch(np.repeat(chunk.image.features[:1], 10, axis=0))
    np.testing.assert_array_equal(
        method.encode(alike, "image"),
        np.repeat(method.encode(chunk.image.take(slice(0, 1)), "image"), 10, axis=0),
    )


def test_code_lengths_that_run_together_clean_labels_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = ROHLSE._clean

    def counted(self: ROHLSE, *given: Any) -> Any:
        calls.append(self.bits)
        return plain(self, *given)

    monkeypatch.setattr(ROHLSE, "_clean", counted)
    together = [ROHLSE(bits=b, anchors=30) for b in (8, 16)]
    for chunk in stream(60, 60):
        for method in together:
            method.fit_chunk(chunk)
    assert calls == [8, 8]


def test_signs_of_directions_are_drawn_or_all_positive() -> None:
    one, other = (flips("drawn", 100, np.random.default_rng(seed)) for seed in (0, 1))
    assert set(one) == {-1.0, 1.0}
    assert (one != other).any()
    np.testing.assert_array_equal(flips("fixed", 100, np.random.default_rng(0)), 1.0)


@pytest.mark.parametrize("anchors", [0, 30])
def test_codes_depend_on_the_signs_of_directions(anchors: int, codes_of: CodesOf) -> None:
    fixed, drawn = (
        codes_of(ROHLSE(bits=4, anchors=anchors, signs=signs), stream(60, 60)) for signs in ("fixed", "drawn")
    )
    assert (fixed != drawn).any()


def test_drawn_signs_give_the_same_codes_to_code_lengths_together_and_alone() -> None:
    together = [ROHLSE(bits=b, anchors=30, signs="drawn") for b in (4, 8)]
    alone = [ROHLSE(bits=b, anchors=30, signs="drawn") for b in (4, 8)]
    for chunk in stream(60, 60):
        for one, other in zip(together, alone, strict=True):
            one.fit_chunk(chunk)
            other.fit_chunk(replace(chunk, shared=Shared()))
            np.testing.assert_array_equal(
                one.encode_database(chunk, "text"), other.encode_database(chunk, "text")
            )
