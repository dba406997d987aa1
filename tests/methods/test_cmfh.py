"""CMFH against its updates with the latent matrix formed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Split
from bench.checks.trial import Trial, items
from bench.methods.cmfh import CMFH

Array = np.ndarray[Any, Any]
SETTINGS = {"balance": 0.4, "mu": 3.0, "gamma": 0.5}


def centred(split: Split) -> list[Array]:
    x = [split.batch(m).features.astype(float) for m in MODALITIES]
    return [v - v.mean(axis=0) for v in x]


def transcription(x: list[Array], bits: int, rounds: int) -> tuple[Array, list[Array], list[float]]:
    """V (n, r), the P of both modalities, and the objective after each round."""
    lam, mu, gamma = (0.4, 0.6), 3.0, 0.5
    both = np.hstack(x)
    start = np.random.default_rng(1).standard_normal((both.shape[1], bits))
    v = both @ start * np.sqrt(len(both) / np.square(both).sum())
    one, values = np.eye(bits), []
    for _ in range(rounds):
        u = [xm.T @ v @ np.linalg.inv(v.T @ v + gamma / k * one) for k, xm in zip(lam, x, strict=True)]
        p = [np.linalg.inv(xm.T @ xm + gamma / mu * np.eye(xm.shape[1])) @ xm.T @ v for xm in x]
        right = sum(xm @ (k * um + mu * pm) for k, xm, um, pm in zip(lam, x, u, p, strict=True))
        pull = sum(k * um.T @ um for k, um in zip(lam, u, strict=True)) + (2 * mu + gamma) * one
        v = right @ np.linalg.inv(pull)
        fits = [k * np.square(a - v @ b.T).sum() for k, a, b in zip(lam, x, u, strict=True)]
        maps = [mu * np.square(v - a @ b).sum() for a, b in zip(x, p, strict=True)]
        sizes = [gamma * np.square(a).sum() for a in (v, *u, *p)]
        values.append(float(sum(fits) + sum(maps) + sum(sizes)))
    p = [np.linalg.inv(xm.T @ xm + gamma / mu * np.eye(xm.shape[1])) @ xm.T @ v for xm in x]
    return v, p, values


@pytest.mark.parametrize("bits", [6, 32])
def test_codes_and_hash_functions_are_those_of_the_updates_with_v_formed(bits: int) -> None:
    trial, split = Trial(CMFH, {**SETTINGS, "iterations": 7}), items(60)
    method = trial.fit(split, bits=bits, seed=1)
    assert isinstance(method, CMFH)
    v, p, _ = transcription(centred(split), bits, 7)
    for m, expected in zip(MODALITIES, p, strict=True):
        np.testing.assert_allclose(method.w_[m], expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(
        method.encode_database(trial.chunks(split)[0], "image"), np.where(v >= 0, 1, -1)
    )


def test_the_updates_lower_the_objective() -> None:
    values = transcription(centred(items(60)), 6, 12)[2]
    assert (np.diff(values) < 1e-9 * values[0]).all()


def test_both_modalities_of_a_training_pair_have_one_code() -> None:
    trial, split = Trial(CMFH), items(60)
    method, chunk = trial.fit(split), trial.chunks(split)[0]
    np.testing.assert_array_equal(
        method.encode_database(chunk, "image"), method.encode_database(chunk, "text")
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_any_scale_and_repeated_or_constant_columns_are_safe(scale: float, balance: float) -> None:
    split = items(30)
    x = split.image.features * np.float32(scale)
    wide = Batch(np.hstack([x, x, np.full((30, 1), 0.1, np.float32)]))
    method = Trial(CMFH, {"balance": balance}).fit(dataclasses.replace(split, image=wide), bits=64)
    assert isinstance(method, CMFH)
    assert all(np.isfinite(w).all() for w in method.w_.values())


def test_items_whose_features_agree_are_near(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(CMFH(bits=16)) > 0.55


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "expected"),
    [("reindexed", {"i2t": 0.235, "t2i": 0.23}), ("learned", {"i2t": 0.23, "t2i": 0.53})],
)
def test_wiki_map(wiki_map: Callable[..., dict[str, float]], database: str, expected: Any) -> None:
    found = wiki_map(lambda seed: CMFH(bits=32, seed=seed), database=database)
    assert found == pytest.approx(expected, abs=0.02)
