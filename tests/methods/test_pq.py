"""PQ: its centroids, its codes, and its distances, also beside faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import Batch, Chunk
from bench.methods._quantisers import kmeans, nearest
from bench.methods.pq import PQ
from bench.methods.pq_clip import PQClip

Array = np.ndarray[Any, Any]


def pairs(n: int = 800, width: int = 12, seed: int = 0) -> Chunk:
    """Both modalities see the same point of one space, with noise and an offset of their own."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, width)) * np.linspace(2, 0.5, width)
    image, text = (
        Batch((points + 0.2 * rng.standard_normal((n, width)) + shift).astype(np.float32))
        for shift in (1, -1)
    )
    return Chunk(round=0, image=image, text=text, labels=None, ids=np.arange(n))


def fitted(cls: type[PQ] = PQ, *, bits: int = 16, **params: Any) -> PQ:
    method = cls(bits=bits, **params)
    method.fit_chunk(pairs())
    return method


def restored(method: Any, batch: Batch, modality: Any) -> Array:
    """The vectors that the codes of items name."""
    octets = np.packbits(method.encode(batch, modality) > 0, axis=1)
    numbers = [o // (256 // len(c)) for o, c in zip(octets.T, method.part_.centroids, strict=True)]
    return np.hstack([c[n] for n, c in zip(numbers, method.part_.centroids, strict=True)])


@pytest.mark.parametrize("bits", [4, 8, 16, 20])
@pytest.mark.parametrize("cls", [PQ, PQClip])
def test_looked_up_distances_are_those_to_the_restored_vectors(cls: type[PQ], bits: int) -> None:
    method, items = fitted(cls, bits=bits), pairs(50, seed=1)
    tables = method.encode_query(items.image, "image")
    octets = np.packbits(method.encode(items.text, "text") > 0, axis=1)
    looked_up = sum(tables[:, m, octets[:, m]].astype(float) for m in range(octets.shape[1]))
    query = method.space_.vectors(items.image.features, "image")
    apart = query[:, None] - restored(method, items.text, "text")
    expected = np.square(apart).sum(axis=2) - np.square(query).sum(axis=1)[:, None]
    np.testing.assert_allclose(looked_up, expected, atol=1e-5)


def test_more_bits_restore_vectors_more_closely() -> None:
    items = pairs(200, seed=1)
    errors = []
    for bits in (4, 8, 16, 32):
        method = fitted(bits=bits)
        vectors = method.space_.vectors(items.text.features, "text")
        errors.append(np.square(vectors - restored(method, items.text, "text")).sum(axis=1).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]


def test_the_error_is_that_of_the_product_quantiser_of_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    chunk = pairs(4000)
    method = PQ(bits=24)
    method.fit_chunk(chunk)
    vectors = {m: method.space_.vectors(chunk.batch(m).features, m) for m in ("image", "text")}
    theirs = faiss.ProductQuantizer(12, 3, 8)
    both = np.concatenate(list(vectors.values())).astype(np.float32)
    theirs.train(both)
    text = vectors["text"].astype(np.float32)
    error = np.square(text - theirs.decode(theirs.compute_codes(text))).sum(axis=1).mean()
    ours = np.square(vectors["text"] - restored(method, chunk.text, "text")).sum(axis=1).mean()
    assert ours == pytest.approx(error, rel=0.1)


def test_kmeans_finds_separate_groups() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    x = np.repeat(centres, 40, axis=0) + 0.1 * rng.standard_normal((120, 2))
    found = kmeans(x, x[[0, 40, 80]] + 1.0, 5)
    np.testing.assert_allclose(found, centres, atol=0.1)
    np.testing.assert_array_equal(nearest(x, found), np.repeat([0, 1, 2], 40))


def test_an_empty_cluster_keeps_its_centre() -> None:
    found = kmeans(np.array([[0.0], [1.0]]), np.array([[0.5], [99.0]]), 3)
    np.testing.assert_array_equal(found, [[0.5], [99.0]])


def test_views_of_different_widths_are_refused() -> None:
    from bench.errors import DataError

    odd = pairs()
    narrow = Chunk(round=0, image=odd.image, text=Batch(odd.text.features[:, :5]), labels=None, ids=odd.ids)
    with pytest.raises(DataError, match="12 columns for images and 5 for texts"):
        PQClip(bits=8).fit_chunk(narrow)
