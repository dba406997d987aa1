"""SCM-Seq against the algorithm with the similarity matrix formed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Split
from bench.checks.trial import Trial, items
from bench.methods.cca import CCA
from bench.methods.scm import SCM

Array = np.ndarray[Any, Any]


def standardised(x: Array) -> Array:
    z: Array = (x - x.mean(axis=0, dtype=float)) / x.std(axis=0, dtype=float)
    return z


def transcription(split: Split, bits: int, ridge: float) -> dict[str, Array]:
    """Codes of both modalities; every bit is a generalised eigenproblem with the residue R (n, n)."""
    assert split.labels is not None
    x, y = (standardised(split.batch(m).features) for m in MODALITIES)
    n, g = len(x), split.labels / np.linalg.norm(split.labels, axis=1, keepdims=True)
    residue = bits * (2 * g @ g.T - 1)
    xx, yy = (v.T @ v / n + ridge * np.eye(v.shape[1]) for v in (x, y))
    codes: dict[str, list[Array]] = {"image": [], "text": []}
    for _ in range(bits):
        c = x.T @ residue @ y
        values, vectors = np.linalg.eig(np.linalg.solve(xx, c @ np.linalg.solve(yy, c.T)))
        a = vectors[:, values.real.argmax()].real
        b = np.linalg.solve(yy, c.T @ a)
        codes["image"].append(np.where(x @ a >= 0, 1, -1))
        codes["text"].append(np.where(y @ b >= 0, 1, -1))
        residue = residue - np.outer(codes["image"][-1], codes["text"][-1])
    return {m: np.stack(v, axis=1) for m, v in codes.items()}


def test_codes_are_those_of_the_algorithm_with_the_similarity_formed() -> None:
    split = items(60)
    method = Trial(SCM, {"ridge": 0.1}).fit(split, bits=12)
    found = {m: method.encode(split.batch(m), m).astype(int) for m in MODALITIES}
    expected = transcription(split, 12, 0.1)
    flip = found["image"][0] * expected["image"][0]  # the sign of an eigenvector is free
    for m in MODALITIES:
        np.testing.assert_array_equal(found[m], flip * expected[m])


def test_every_bit_brings_the_codes_nearer_to_the_similarity() -> None:
    split = items(60)
    assert split.labels is not None
    g = split.labels / np.linalg.norm(split.labels, axis=1, keepdims=True)
    errors = []
    for bits in (4, 8, 32):
        image, text = (Trial(SCM).fit(split, bits=bits).encode(split.batch(m), m) for m in MODALITIES)
        errors.append(np.square(image.astype(int) @ text.T / bits - (2 * g @ g.T - 1)).mean())
    assert errors[2] < errors[1] < errors[0]


def test_unlabelled_items_change_nothing() -> None:
    split, queries = items(60), items(20, seed=5)
    assert split.labels is not None
    labels = split.labels * (np.arange(60) < 50)[:, None].astype(np.uint8)
    some = Trial(SCM).fit(dataclasses.replace(split, labels=labels))
    without = Trial(SCM).fit(split.take(slice(0, 50)))
    for m in MODALITIES:
        np.testing.assert_array_equal(some.encode(queries.batch(m), m), without.encode(queries.batch(m), m))


def test_without_any_label_it_is_safe() -> None:
    split = items(20)
    assert split.labels is not None
    method = Trial(SCM).fit(dataclasses.replace(split, labels=split.labels * 0))
    assert (method.encode(split.image, "image") == 1).all()


def test_constant_and_repeated_columns_are_safe() -> None:
    split = items(60)
    x = split.image.features
    wide = Batch(np.hstack([x, x, np.full((60, 1), 0.1, np.float32)]))
    method = Trial(SCM, {"ridge": 0.0}).fit(dataclasses.replace(split, image=wide), bits=32)
    assert isinstance(method, SCM)
    assert np.isfinite(method.w_["image"]).all()
    np.testing.assert_array_equal(method.w_["image"][-1], 0)


def test_labels_help_and_shuffled_ones_do_not(synthetic_map: Callable[..., float]) -> None:
    true, shuffled = synthetic_map(SCM(bits=16)), synthetic_map(SCM(bits=16), shuffled=True)
    assert true > synthetic_map(CCA(bits=16)) + 0.05
    assert shuffled < 0.45


@pytest.mark.slow
def test_wiki_map(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: SCM(bits=32, seed=seed), database="reindexed", seeds=1)
    assert found == pytest.approx({"i2t": 0.243, "t2i": 0.241}, abs=0.01)
