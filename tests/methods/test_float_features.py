"""The unhashed class probabilities, and what hashing them costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from bench.checks.trial import Trial, items
from bench.methods.classifier_code import ClassifierCode
from bench.methods.float_features import FloatFeatures


def test_vectors_are_clipped_ridge_scores_less_the_class_frequencies() -> None:
    split, queries = items(90), items(30, seed=4)
    assert split.labels is not None
    x, frequency = split.text.features, split.labels.mean(axis=0)
    mean, spread = x.mean(axis=0, dtype=float), x.std(axis=0, dtype=float)
    z = (x - mean) / spread
    w = np.linalg.solve(z.T @ z / 90 + 0.1 * np.eye(z.shape[1]), z.T @ split.labels / 90)
    scores = np.clip((queries.text.features - mean) / spread @ w + frequency, 0, 1)
    found = Trial(FloatFeatures).fit(split).encode(queries.text, "text")
    np.testing.assert_allclose(found, scores - frequency, atol=1e-5)


def test_vectors_have_one_value_per_class_whatever_the_bits() -> None:
    few, many = (Trial(FloatFeatures).fit(items(90), bits=b).encode(items(9).image, "image") for b in (8, 64))
    assert few.shape == (9, 4)
    np.testing.assert_array_equal(few, many)


def test_binarising_costs_accuracy(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(FloatFeatures(bits=16)) > synthetic_map(ClassifierCode(bits=64)) + 0.03


def test_shuffled_labels_teach_nothing(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(FloatFeatures(bits=16), shuffled=True) < 0.45


def test_without_any_label_vectors_are_zero() -> None:
    split = items(20)
    assert split.labels is not None
    method = Trial(FloatFeatures).fit(dataclasses.replace(split, labels=split.labels * 0))
    assert not method.encode(split.image, "image").any()
