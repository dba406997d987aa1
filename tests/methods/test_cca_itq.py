"""CCA-ITQ against the alternation written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES
from bench.checks.trial import Trial, items
from bench.methods.cca import CCA
from bench.methods.cca_itq import CCAITQ

Array = np.ndarray[Any, Any]


def variates(bits: int) -> tuple[Array, CCA]:
    """CCA's variates of both modalities, each times its correlation, one above the other."""
    cca = Trial(CCA).fit(items(80), bits=bits)
    assert isinstance(cca, CCA)
    seen = [(items(80).batch(m).features - cca.mean_[m]) @ cca.w_[m] for m in MODALITIES]
    return np.concatenate(seen) * cca.correlations_[:bits], cca


def fitted(*, bits: int, seed: int = 1, **settings: Any) -> CCAITQ:
    method = Trial(CCAITQ, settings).fit(items(80), bits=bits, seed=seed)
    assert isinstance(method, CCAITQ)
    return method


def test_projections_are_the_variates_turned_by_the_alternation_of_itq() -> None:
    v, cca = variates(6)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0].T
    for _ in range(50):
        left, _, right = np.linalg.svd(np.where(v @ rotation >= 0, 1.0, -1.0).T @ v)
        rotation = right.T @ left.T
    method = fitted(bits=6, seed=1)
    for m in MODALITIES:
        np.testing.assert_allclose(
            method.w_[m], cca.w_[m] * cca.correlations_[:6] @ rotation, rtol=1e-6, atol=1e-9
        )


def test_the_rotation_lowers_the_quantisation_loss() -> None:
    def loss(iterations: int) -> float:
        method = fitted(bits=8, iterations=iterations)
        v = np.concatenate(
            [(items(80).batch(m).features - method.mean_[m]) @ method.w_[m] for m in MODALITIES]
        )
        return float(np.square(np.sign(v) - v).sum())

    assert loss(50) < loss(5) < loss(0)


def test_more_bits_than_directions_keep_the_inner_products_of_the_variates() -> None:
    few, many = (fitted(bits=b) for b in (24, 64))
    for m in MODALITIES:
        np.testing.assert_allclose(few.w_[m] @ few.w_[m].T, many.w_[m] @ many.w_[m].T, atol=1e-8)


def test_the_rotation_helps(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(CCAITQ(bits=16)) > synthetic_map(CCA(bits=16)) + 0.02


@pytest.mark.slow
def test_wiki_map(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: CCAITQ(bits=32, seed=seed), database="reindexed")
    assert found == pytest.approx({"i2t": 0.25, "t2i": 0.24}, abs=0.02)
