"""CVH against the sum over pairs that it minimises."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Labels, Modality, Split
from bench.checks.trial import Trial, items
from bench.methods._codes import normalise_labels
from bench.methods.cvh import CVH, _objective

Array = np.ndarray[Any, Any]


def pairwise(x: Array, y: Array, a: Array, b: Array, w: Array) -> float:
    """The sum over all pairs of items, within and across modalities."""
    px, py = x @ a, y @ b
    total = 0.0
    for left, right in ((px, px), (py, py), (px, py)):
        total += float((w * np.square(left[:, None] - right).sum(axis=2)).sum())
    return total


def labels_of(split: Split) -> Labels:
    assert split.labels is not None
    return split.labels


def fitted(split: Split, *, bits: int = 16, **settings: Any) -> CVH:
    method = Trial(CVH, settings).fit(split, bits=bits)
    assert isinstance(method, CVH)
    return method


def test_the_objective_is_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(0)
    x, y, a, b = (rng.standard_normal(shape) for shape in ((30, 5), (30, 4), (5, 3), (4, 3)))
    g = normalise_labels(labels_of(items(30)))
    both = np.vstack([a, b])
    found = 30**2 * np.trace(both.T @ _objective({"image": x, "text": y}, g, 0.0) @ both)
    assert found == pytest.approx(pairwise(x, y, a, b, g @ g.T))


def test_noise_in_the_objective_is_what_noisy_features_have_on_average() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 5)), rng.standard_normal((30, 4))
    g = normalise_labels(labels_of(items(30)))
    pair: dict[Modality, Array] = {"image": x, "text": y}
    noisy = [
        _objective({k: v + 0.5 * rng.standard_normal(v.shape) for k, v in pair.items()}, g, 0.0)
        for _ in range(4000)
    ]
    expected = _objective(pair, g, 0.25)
    # An item is at no distance from itself, noise or not, which the formula neglects: a share of 1/n.
    np.testing.assert_allclose(np.mean(noisy, axis=0), expected, atol=0.1 * np.diag(expected).max())


def test_directions_meet_the_constraint_and_none_is_better() -> None:
    split, rng = items(90), np.random.default_rng(0)
    method = fitted(split, bits=4, ridge=0.0, opposed=True)
    z = {m: split.batch(m).features - split.batch(m).features.mean(axis=0) for m in MODALITIES}
    projected = np.hstack([z[m] @ method.w_[m] for m in MODALITIES]).reshape(90, 2, 4)
    gram = np.einsum("nmi,nmj->ij", projected, projected) / 90
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-4)
    g = normalise_labels(labels_of(split))

    def value(w: dict[Any, Array]) -> float:
        return pairwise(z["image"], z["text"], w["image"], w["text"], g @ g.T)

    for _ in range(20):
        other = {m: w + 0.01 * np.abs(w).mean() * rng.standard_normal(w.shape) for m, w in method.w_.items()}
        seen = np.hstack([z[m] @ other[m] for m in MODALITIES]).reshape(90, 2, 4)
        root = np.linalg.cholesky(np.einsum("nmi,nmj->ij", seen, seen) / 90)
        assert value({m: np.linalg.solve(root, w.T).T for m, w in other.items()}) > value(method.w_)


def test_a_code_of_the_plain_eigenproblem_sets_the_modalities_against_each_other() -> None:
    split = items(200)
    labels = labels_of(split).astype(int)
    relevant = labels @ labels.T > 0

    def agreement(opposed: bool) -> float:
        method = fitted(split, bits=32, opposed=opposed)
        image, text = (method.encode(split.batch(m), m).astype(int) for m in MODALITIES)
        both = image @ text.T
        return float(both[relevant].mean() - both[~relevant].mean()) / 32

    assert agreement(opposed=True) < 0.05 < agreement(opposed=False)


def test_more_bits_than_directions_keep_their_inner_products() -> None:
    few, many = (fitted(items(90), bits=b) for b in (64, 128))
    for m in MODALITIES:
        np.testing.assert_allclose(few.w_[m] @ few.w_[m].T, many.w_[m] @ many.w_[m].T, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 1e-2])
def test_constant_repeated_and_unlabelled_data_are_safe(ridge: float) -> None:
    split = items(30)
    x = split.image.features
    wide = Batch(np.hstack([x, x, np.full((30, 1), 0.1, np.float32)]))
    none = labels_of(split) * 0
    for labels in (labels_of(split), none):
        method = fitted(dataclasses.replace(split, image=wide, labels=labels), ridge=ridge)
        assert np.isfinite(method.w_["image"]).all()
        np.testing.assert_array_equal(method.w_["image"][-1], 0)


def test_labels_help_and_shuffled_ones_do_not(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(CVH(bits=16)) > 0.5
    assert synthetic_map(CVH(bits=16), shuffled=True) < 0.45


@pytest.mark.slow
def test_wiki_map(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: CVH(bits=32, seed=seed), database="reindexed")
    assert found == pytest.approx({"i2t": 0.24, "t2i": 0.24}, abs=0.02)
