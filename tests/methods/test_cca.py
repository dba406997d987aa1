"""CCA against an independent formula, on features that break naive implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.methods import _online
from bench.methods.cca import CCA

Array = np.ndarray[Any, Any]


def pairs(n: int = 200, *, seed: int = 0, noise: float = 0.5) -> Chunk:
    """Pairs with three latent variables in common; image (n, 7), text (n, 5)."""
    rng, maps = np.random.default_rng(seed), np.random.default_rng(99)
    latent = rng.standard_normal((n, 3))
    image = latent @ maps.standard_normal((3, 7)) + noise * rng.standard_normal((n, 7)) + 3
    text = latent @ maps.standard_normal((3, 5)) + noise * rng.standard_normal((n, 5)) - 1
    return chunk(image, text)


def chunk(image: Array, text: Array) -> Chunk:
    batches = Batch(image.astype(np.float32)), Batch(text.astype(np.float32))
    return Chunk(round=0, image=batches[0], text=batches[1], labels=None, ids=np.arange(len(image)))


def fitted(items: Chunk, **settings: Any) -> CCA:
    method = CCA(**settings)
    method.fit_chunk(items)
    return method


def similarity(method: CCA, items: Chunk) -> Array:
    """Inner products of image and text codes: they do not change when both flip a sign."""
    image, text = (method.encode(items.batch(m), m).astype(int) for m in MODALITIES)
    product: Array = image @ text.T
    return product


def test_correlations_are_the_cosines_between_the_feature_spaces() -> None:
    items = pairs()
    bases = []
    for m in MODALITIES:
        x = items.batch(m).features.astype(float)
        bases.append(np.linalg.qr(x - x.mean(axis=0))[0])
    cosines = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    np.testing.assert_allclose(fitted(items, bits=4, ridge=0.0).correlations_, cosines, rtol=1e-6)


def test_columns_may_have_any_scale() -> None:
    items, scales = pairs(), 10.0 ** np.arange(-3, 4)
    scaled = chunk(items.image.features * scales, items.text.features)
    same = similarity(fitted(items, bits=4), items) == similarity(fitted(scaled, bits=4), scaled)
    assert same.mean() > 0.99  # but for values that float32 rounding moves over 0


def test_a_constant_column_has_no_weight() -> None:
    items = pairs()
    constant = chunk(np.hstack([items.image.features, np.full((200, 1), 1e6)]), items.text.features)
    method = fitted(constant, bits=4)
    np.testing.assert_array_equal(method.w_["image"][7], 0)
    np.testing.assert_array_equal(similarity(method, constant), similarity(fitted(items, bits=4), items))


def test_a_repeated_column_adds_no_direction() -> None:
    items = pairs()
    repeated = chunk(items.image.features, np.hstack([items.text.features, items.text.features]))
    correlations = fitted(repeated, bits=4, ridge=0.0).correlations_
    np.testing.assert_allclose(correlations[:5], fitted(items, bits=4, ridge=0.0).correlations_, rtol=1e-6)
    np.testing.assert_allclose(correlations[5:], 0, atol=1e-8)


def test_more_bits_than_directions_keep_the_latent_inner_products() -> None:
    items = pairs()
    few, many = fitted(items, bits=5), fitted(items, bits=64)
    latent, spread = ((items.image.features - m.mean_["image"]) @ m.w_["image"] for m in (few, many))
    latent = latent * np.sqrt(few.correlations_)
    np.testing.assert_allclose(spread @ spread.T, latent @ latent.T, atol=1e-9)


def test_more_bits_than_directions_are_all_of_use() -> None:
    items = pairs()
    codes = fitted(items, bits=64).encode(items.image, "image")
    assert (np.abs(codes.mean(axis=0)) < 0.5).all()
    assert len(np.unique(codes, axis=1).T) == 64


@pytest.mark.parametrize("bits", [2, 4, 32])
def test_the_text_of_a_pair_is_nearer_than_other_texts(bits: int) -> None:
    agreement = similarity(fitted(pairs(), bits=bits), pairs(seed=1))
    own, mean = np.diag(agreement).mean() / bits, agreement.mean() / bits
    assert own > mean + 0.3


@pytest.mark.parametrize(
    "items",
    [pairs(1), pairs(2), pairs(4), chunk(np.full((9, 3), 0.1), np.zeros((9, 2)))],
    ids=["one row", "two rows", "fewer rows than columns", "nothing varies"],
)
def test_too_little_data_is_safe_without_ridge(items: Chunk) -> None:
    method = fitted(items, bits=16, ridge=0.0)
    assert all(np.isfinite(w).all() for w in method.w_.values())


def test_the_fit_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    items = pairs()
    whole = fitted(items, bits=4).correlations_
    monkeypatch.setattr(_online, "_BLOCK", 17)
    np.testing.assert_allclose(fitted(items, bits=4).correlations_, whole, rtol=1e-10)


def test_other_seeds_give_other_codes() -> None:
    one, other = (fitted(pairs(), bits=32, seed=s).encode(pairs().image, "image") for s in (3, 4))
    assert (one != other).any()
