"""How near the oracle of the labels comes to a perfect ranking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.api import MODALITIES, Batch, Labels, Split
from bench.checks.trial import Trial, items
from bench.methods.label_oracle import LabelOracle

Array = np.ndarray[Any, Any]


def of(labels: Labels) -> Split:
    """Items with these labels and no features to speak of."""
    none = Batch(np.zeros((len(labels), 1), np.float32))
    return Split(image=none, text=none, labels=labels, ids=np.arange(len(labels)))


def score(queries: Labels, database: Labels, *, bits: int, **settings: Any) -> float:
    trial = Trial(LabelOracle, settings)
    method = trial.fit(of(database), bits=bits)
    query, stored = (method.encode(trial.asked(of(x), "image"), "image") for x in (queries, database))
    return metrics.evaluate(query, stored, queries, database, metrics=("map",))["map"]


def multi(n: int, seed: int, classes: int = 6) -> Labels:
    labels = (np.random.default_rng(seed).random((n, classes)) < 0.25).astype(np.uint8)
    labels[~labels.any(axis=1), 0] = 1
    return labels


@pytest.mark.parametrize("bits", [16, 32])
def test_single_labels_are_ranked_perfectly(bits: int) -> None:
    labels = np.eye(10, dtype=np.uint8)[np.random.default_rng(0).integers(0, 10, 300)]
    assert score(np.eye(10, dtype=np.uint8), labels, bits=bits) == 1.0


def test_several_labels_are_ranked_nearly_perfectly_with_bits_enough() -> None:
    few, more, many = (score(multi(60, 1), multi(400, 0), bits=b) for b in (8, 32, 128))
    assert few < more < many
    assert many > 0.98


def test_label_sets_never_seen_are_placed_by_their_similarities() -> None:
    assert score(multi(60, 1), multi(400, 0), bits=64, sets=20) > 0.9


def test_the_factors_rebuild_the_similarity() -> None:
    """With bits for all directions: up to the negative ones, which no real inner product has."""
    sets = np.unique(multi(100, 0), axis=0).astype(float)
    similar = (sets @ sets.T > 0) - 0.4
    values, vectors = np.linalg.eigh(similar)
    factor = LabelOracle(bits=64)._factor(similar, np.ones(len(sets)))
    rebuilt = (similar @ factor) @ (similar @ factor).T
    np.testing.assert_allclose(rebuilt, (vectors * np.maximum(values, 0)) @ vectors.T, atol=1e-8)


def test_the_features_do_not_matter() -> None:
    trial, split = Trial(LabelOracle), items(60)
    method = trial.fit(split)
    image, text = (method.encode(trial.asked(split, m), m) for m in MODALITIES)
    np.testing.assert_array_equal(image, text)
    np.testing.assert_array_equal(image, method.encode_database(trial.chunks(split)[0], "image"))


@pytest.mark.parametrize("labels", [np.ones((9, 2), np.uint8), np.zeros((9, 2), np.uint8)])
def test_labels_that_tell_nothing_are_safe(labels: Labels) -> None:
    method = Trial(LabelOracle).fit(of(labels))
    assert isinstance(method, LabelOracle)
    assert (method._hash(labels) == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "least"), [(16, 0.95), (32, 0.975), (64, 0.985)])
def test_the_labels_of_mirflickr_are_ranked_nearly_perfectly(
    bits: int, least: float, real: Callable[[str], Path]
) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    path = real("mirflickr25k-tags-labels/mirflickr25k-lall.mat")
    labels = next(v for k, v in scipy_io.loadmat(path).items() if not k.startswith("_")).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    assert score(labels[order[:300]], labels[order[2000:]], bits=bits) > least
