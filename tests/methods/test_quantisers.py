"""OPQ, RaBitQ, int8 and binary embeddings: what their codes keep, beside plain formulas and faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import Batch, Chunk, Method
from bench.methods.binary_clip import BinaryClip
from bench.methods.int8_clip import Int8Clip
from bench.methods.opq import OPQ
from bench.methods.opq_clip import OPQClip
from bench.methods.pq_clip import PQClip
from bench.methods.rabitq_clip import RaBitQClip

Array = np.ndarray[Any, Any]


def pairs(n: int = 600, width: int = 24, seed: int = 0) -> Chunk:
    """Points of one space, whose first columns have most of the variance, in both modalities."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, width)) * np.linspace(2, 0.1, width)
    image, text = (
        Batch((points + 0.05 * rng.standard_normal((n, width)) + shift).astype(np.float32))
        for shift in (1, -1)
    )
    return Chunk(round=0, image=image, text=text, labels=None, ids=np.arange(n))


def fitted(cls: type[Method], bits: int, **params: Any) -> Any:
    method = cls(bits=bits, **params)
    method.fit_chunk(pairs())
    return method


def octets(method: Method, batch: Batch) -> Array:
    return np.packbits(method.encode(batch, "text") > 0, axis=1)


def named(method: Any, batch: Batch) -> Array:
    """The vectors that the codes of a product quantiser with full bytes name."""
    return np.hstack([c[o] for o, c in zip(octets(method, batch).T, method.part_.centroids, strict=True)])


def test_the_rotation_of_opq_keeps_lengths() -> None:
    turn = fitted(OPQ, 16).part_.turn
    np.testing.assert_allclose(turn.T @ turn, np.eye(len(turn)), atol=1e-10)


def test_opq_loses_less_than_pq_where_the_first_columns_have_most_of_the_variance() -> None:
    items = pairs(300, seed=1).text
    lost = {}
    for cls in (PQClip, OPQClip):
        method = fitted(cls, 24)
        vectors = method.part_.turned(method._vectors(items, "text"))
        lost[cls] = np.square(vectors - named(method, items)).sum(axis=1).mean()
    assert lost[OPQClip] < 0.9 * lost[PQClip]


@pytest.mark.parametrize("bits", [24, 72])
def test_estimates_of_rabitq_are_close_to_the_dot_products(bits: int) -> None:
    method, items = fitted(RaBitQClip, bits), pairs(200, seed=1)
    query = method.encode_query(items.image, "image")
    code = method.encode(items.text, "text")
    share = octets(method, items.text)[:, -1] / 255
    estimate = query @ code[:, :-8].T * (share * method.part_.largest)
    true = query @ (method._vectors(items.text, "text") @ method.part_.w).T
    slope = (estimate * true).sum() / np.square(true).sum()
    assert slope == pytest.approx(1, abs=0.05)
    assert np.corrcoef(estimate.ravel(), true.ravel())[0, 1] > 0.8


def test_estimates_of_rabitq_are_those_of_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    method, items = fitted(RaBitQClip, 32), pairs(50, seed=1)
    y = (method._vectors(items.text, "text") @ method.part_.w).astype(np.float32)
    query = method.encode_query(items.image, "image")
    index = faiss.IndexRaBitQ(24, faiss.METRIC_INNER_PRODUCT)
    index.train(np.concatenate([y, -y]))  # so that its centroid is 0
    index.qb = 0  # queries as they are
    index.add(y)
    values, order = index.search(query, len(y))
    theirs = np.empty_like(values)
    np.put_along_axis(theirs, order, values, axis=1)
    share = octets(method, items.text)[:, -1] / 255
    ours = query @ method.encode(items.text, "text")[:, :-8].T * (share * method.part_.largest)
    np.testing.assert_allclose(ours, theirs, atol=0.005 * np.abs(theirs).max())


@pytest.mark.parametrize("bits", [16, 20, 400])
def test_looked_up_products_of_int8_are_those_of_the_restored_components(bits: int) -> None:
    method, items = fitted(Int8Clip, bits), pairs(40, seed=1)
    tables, stored = method.encode_query(items.image, "image"), octets(method, items.text)
    looked_up = sum(tables[:, m, stored[:, m]].astype(float) for m in range(stored.shape[1]))
    values = method._vectors(items.text, "text") @ method.part_.w
    kept = np.clip(values, method.part_.least, method.part_.most)
    steps = np.where(bits - 8 * np.arange(values.shape[1]) >= 8, 255, 2 ** (bits % 8) - 1)
    half = (method.part_.most - method.part_.least) / steps / 2
    most = np.abs(method._vectors(items.image, "image") @ method.part_.w) @ half
    exact = -(method._vectors(items.image, "image") @ method.part_.w) @ kept.T
    assert (np.abs(looked_up - exact) <= most[:, None] + 1e-5).all()


def test_binary_embeddings_are_the_signs_of_what_queries_keep() -> None:
    method, items = fitted(BinaryClip, 16), pairs(40, seed=1)
    values = method.encode_query(items.image, "image")
    np.testing.assert_array_equal(method.encode(items.image, "image") > 0, values >= 0)
    assert values.dtype == np.float32 and np.unique(np.abs(values)).size > 100
