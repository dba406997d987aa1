"""Hashing-Baseline: its components, its rotation, and streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.errors import DataError
from bench.methods.hashing_baseline import HashingBaseline

Array = np.ndarray[Any, Any]


def pairs(n: int = 200, width: int = 12, seed: int = 0) -> Chunk:
    """Both modalities see the same point of one space, with noise and an offset of their own."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, width)) * np.linspace(2, 0.5, width)
    image, text = (
        Batch((points + 0.2 * rng.standard_normal((n, width)) + shift).astype(np.float32))
        for shift in (1, -1)
    )
    return Chunk(round=0, image=image, text=text, labels=None, ids=np.arange(n))


def fitted(*chunks: Chunk, bits: int = 8) -> HashingBaseline:
    method = HashingBaseline(bits=bits)
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


def components(*chunks: Chunk, bits: int = 8) -> Array:
    """The leading directions (d, bits) of all items, each modality centred."""
    parts = []
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        parts.append(x - x.mean(axis=0))
    directions: Array = np.linalg.svd(np.concatenate(parts))[2][:bits].T
    return directions


@pytest.mark.parametrize("count", [1, 3])
def test_chunks_give_the_principal_components_of_all_items(count: int) -> None:
    chunks = [pairs(seed=s) for s in range(count)]
    w, expected = fitted(*chunks).w_, components(*chunks)
    assert w is not None
    np.testing.assert_allclose(w @ w.T, expected @ expected.T, atol=1e-6)


def test_a_later_chunk_turns_few_bits() -> None:
    first, second = pairs(seed=0), pairs(seed=1)
    before, after = (fitted(*chunks).encode(first.image, "image") for chunks in ((first,), (first, second)))
    assert (before == after).mean() > 0.95


def test_seeds_draw_other_rotations() -> None:
    one, other = HashingBaseline(bits=8, seed=0), HashingBaseline(bits=8, seed=1)
    for method in (one, other):
        method.fit_chunk(pairs())
    assert one.w_ is not None and other.w_ is not None and not np.allclose(one.w_, other.w_)


def test_more_bits_than_columns_keep_inner_products() -> None:
    w = fitted(pairs(), pairs(seed=1), bits=20).w_
    assert w is not None
    np.testing.assert_allclose(w @ w.T, np.eye(12), atol=1e-8)


def test_pairs_share_most_bits_though_their_modalities_have_offsets() -> None:
    method, fresh = fitted(pairs()), pairs(seed=5)
    image, text = (method.encode(fresh.batch(m), m) for m in MODALITIES)
    assert (image == text).mean() > 0.85


def test_views_of_different_widths_are_refused() -> None:
    chunk = pairs()
    uneven = Chunk(
        round=0, image=chunk.image, text=Batch(chunk.text.features[:, :5]), labels=None, ids=chunk.ids
    )
    with pytest.raises(DataError, match="12 columns for images and 5 for texts"):
        fitted(uneven)
