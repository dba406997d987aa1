"""CLIP hash: its rotations, what it is shown, and what it retrieves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.api import MODALITIES, Batch, Chunk, Dataset
from bench.checks.trial import Trial
from bench.errors import DataError
from bench.methods.clip_hash import CLIPHash

Array = np.ndarray[Any, Any]


def chunk(image: Array, text: Array) -> Chunk:
    batches = [Batch(x.astype(np.float32)) for x in (image, text)]
    return Chunk(round=0, image=batches[0], text=batches[1], labels=None, ids=np.arange(len(image)))


def pairs(n: int = 200, width: int = 12, seed: int = 0) -> Chunk:
    """Both modalities see the same point of one space, with noise and an offset of their own."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, width)) * np.linspace(2, 0.5, width)
    return chunk(*(points + 0.2 * rng.standard_normal((n, width)) + shift for shift in (1.0, -1.0)))


def fitted(items: Chunk, **settings: Any) -> CLIPHash:
    method = CLIPHash(**{"bits": 8, **settings})
    method.fit_chunk(items)
    return method


def centred(items: Chunk) -> list[Array]:
    unit = [items.batch(m).features.astype(float) for m in MODALITIES]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in unit]
    return [x - x.mean(axis=0) for x in unit]


def test_without_updates_itq_turns_the_leading_components_of_both_modalities() -> None:
    items = pairs()
    both = np.concatenate(centred(items))
    components = np.linalg.svd(both)[2][:8]
    w = fitted(items, iterations=0).w_
    np.testing.assert_allclose(w @ w.T, components.T @ components, atol=1e-8)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("rotation", ["itq", "random"])
def test_bits_are_orthonormal_directions(bits: int, rotation: str) -> None:
    w = fitted(pairs(), bits=bits, rotation=rotation).w_
    np.testing.assert_allclose(w.T @ w, np.eye(bits), atol=1e-8)


@pytest.mark.parametrize("rotation", ["itq", "random"])
def test_more_bits_than_columns_keep_inner_products(rotation: str) -> None:
    w = fitted(pairs(), bits=128, rotation=rotation).w_
    np.testing.assert_allclose(w @ w.T, np.eye(12), atol=1e-8)


def test_itq_loses_less_by_taking_signs_than_the_rotation_it_starts_from() -> None:
    items = pairs()
    losses = []
    for iterations in (0, 50):
        projected = np.concatenate(centred(items)) @ fitted(items, iterations=iterations).w_
        losses.append(float(np.square(np.where(projected >= 0, 1, -1) - projected).sum()))
    assert losses[1] < losses[0]


@pytest.mark.parametrize("rotation", ["itq", "random"])
def test_codes_are_signs_of_the_rotated_unit_features_centred_by_modality(rotation: str) -> None:
    items = pairs()
    method = fitted(items, rotation=rotation)
    for m, x in zip(MODALITIES, centred(items), strict=True):
        codes = method.encode(items.batch(m), m)
        assert (codes == np.where(x @ method.w_ >= 0, 1, -1)).mean() > 0.999  # but for products close to 0


def test_the_length_of_a_feature_vector_does_not_matter() -> None:
    items = pairs()
    method = fitted(items)
    longer = Batch(items.image.features * np.float32(8))
    assert (method.encode(longer, "image") == method.encode(items.image, "image")).all()


def test_partners_are_near_each_other_in_spite_of_the_offset() -> None:
    items = pairs()
    method = fitted(items, bits=12)
    image, text = (method.encode(items.batch(m), m).astype(int) for m in MODALITIES)
    distance = (12 - image @ text.T) / 2
    assert distance.diagonal().mean() < 0.4 * distance.mean()


def test_it_retrieves_by_the_clip_views_and_itq_does_better(synthetic: Dataset) -> None:
    assert synthetic.train.labels is not None and synthetic.query.labels is not None
    scores = {}
    for rotation in ("random", "itq"):
        trial = Trial(CLIPHash, {"rotation": rotation})
        method = trial.fit(synthetic.train, bits=16)
        query = method.encode(trial.asked(synthetic.query, "image"), "image")
        stored = method.encode(trial.asked(synthetic.train, "text"), "text")
        scores[rotation] = metrics.evaluate(
            query, stored, synthetic.query.labels, synthetic.train.labels, metrics=("map",)
        )["map"]
    assert 0.5 < scores["random"] < scores["itq"] - 0.03  # chance is 0.4


def test_shuffled_pairs_change_nothing() -> None:
    items = pairs()
    order = np.random.default_rng(5).permutation(len(items))
    mixed = dataclasses.replace(items, text=items.text.take(order))
    plain, other = (fitted(c).encode(items.image, "image") for c in (items, mixed))
    assert (plain == other).mean() > 0.99  # no pair is read: only sums round otherwise


def test_other_seeds_give_other_rotations() -> None:
    first, other = (fitted(pairs(), seed=s).w_ for s in (3, 4))
    assert (first != other).any()


def test_more_pairs_than_max_train_are_sampled_by_the_seed() -> None:
    means = [fitted(pairs(), max_train=50, seed=s).mean_["image"] for s in (0, 0, 1)]
    assert (means[0] == means[1]).all() and (means[0] != means[2]).any()


def test_views_of_different_widths_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="6 columns for images and 7 for texts; expected the same number"):
        fitted(chunk(rng.random((9, 6)), rng.random((9, 7))))
