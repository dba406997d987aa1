"""Random projection: what it guarantees."""

from __future__ import annotations

import numpy as np

from bench.api import Batch, Chunk
from bench.methods.random_projection import RandomProjection


def make(round: int = 0, n: int = 30) -> Chunk:
    rng = np.random.default_rng(round)
    image, text = (Batch((rng.standard_normal((n, d)) + 5).astype(np.float32)) for d in (6, 4))
    return Chunk(round=round, image=image, text=text, labels=None, ids=np.arange(n))


def test_the_share_of_differing_bits_is_the_angle() -> None:
    method, chunk = RandomProjection(bits=20_000), make()
    method.fit_chunk(chunk)
    x = chunk.image.features - chunk.image.features.mean(axis=0)
    codes = method.encode(chunk.image, "image")
    differing = (codes[:1] != codes[1:]).mean(axis=1)
    cosine = x[1:] @ x[0] / np.linalg.norm(x[1:], axis=1) / np.linalg.norm(x[0])
    np.testing.assert_allclose(differing, np.arccos(cosine) / np.pi, atol=0.02)


def test_later_rounds_change_nothing() -> None:
    method, chunk = RandomProjection(bits=16), make()
    method.fit_chunk(chunk)
    before = method.encode(chunk.text, "text")
    method.fit_chunk(make(round=1))
    np.testing.assert_array_equal(method.encode(chunk.text, "text"), before)
