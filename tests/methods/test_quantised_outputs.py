"""Quantisers of the outputs of hash functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import Batch, Chunk, Method
from bench.checks.trial import without
from bench.contract.state import packed, unpacked
from bench.methods.binary_lcdh import BinaryLcdh
from bench.methods.lemon import LEMON
from bench.methods.pq_lcdh import PQLcdh
from bench.methods.pq_lemon import PQLemon


def pairs(n: int = 300, seed: int = 0) -> Chunk:
    """Pairs of four classes, which both modalities show."""
    rng = np.random.default_rng(seed)
    labels = np.eye(4, dtype=np.uint8)[rng.integers(4, size=n)]
    image, text = (
        Batch((labels @ rng.standard_normal((4, d)) + rng.standard_normal((n, d))).astype(np.float32))
        for d in (12, 10)
    )
    return Chunk(round=0, image=image, text=text, labels=labels, ids=np.arange(n))


def fitted(cls: type[Method], chunk: Chunk, **params: Any) -> Any:
    method = cls(**params)
    method.fit_chunk(chunk)
    return method


def test_codes_name_the_outputs_of_the_method() -> None:
    """With a centroid for every training item, a code stands for the output itself."""
    chunk = pairs(100)
    method = fitted(PQLemon, chunk, bits=8)
    outputs = fitted(LEMON, chunk, bits=8).outputs(chunk.text, "text")
    wanted = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    octets = np.packbits(method.encode(chunk.text, "text") > 0, axis=1)[:, 0]
    restored = method.part_.centroids[0][octets]
    assert np.square(restored - wanted).sum(axis=1).mean() < 0.1


def test_the_method_learns_chunk_by_chunk() -> None:
    first, second = pairs(200, seed=0), pairs(200, seed=1)
    method = fitted(PQLemon, first, bits=8)
    method.fit_chunk(second)
    alone = fitted(LEMON, first, bits=8)
    alone.fit_chunk(second)
    x = pairs(50, seed=2).image
    outputs = alone.outputs(x, "image")
    np.testing.assert_allclose(
        method._vectors(x, "image"), outputs / np.linalg.norm(outputs, axis=1, keepdims=True), rtol=1e-12
    )


def test_a_modality_that_an_item_lacks_is_not_quantised() -> None:
    """Half of the items lack their text, whose features are zeros."""
    chunk, lacking = pairs(100), np.arange(100) % 2 == 0
    method = fitted(PQLcdh, without(chunk, image=lacking & False, text=lacking), bits=8, student="linear")
    shown = np.concatenate(
        [
            method._vectors(chunk.image, "image"),
            method._vectors(chunk.text.take(np.flatnonzero(~lacking)), "text"),
        ]
    )
    # With fewer vectors than centroids, each has a centroid of its own, and nothing else has one.
    found = np.unique(np.round(method.part_.centroids[0], 6), axis=0)
    np.testing.assert_allclose(found, np.unique(np.round(shown, 6), axis=0), atol=2e-6)


def test_a_saved_state_goes_on_as_if_it_had_not_been_saved() -> None:
    chunk, later = pairs(), pairs(seed=1)
    method = fitted(PQLemon, chunk, bits=16)
    copied = PQLemon(bits=16)
    copied.load_state_dict(unpacked(packed(method.state_dict())))
    for one in (method, copied):
        one.fit_chunk(later)
    np.testing.assert_array_equal(copied.encode(later.text, "text"), method.encode(later.text, "text"))
    np.testing.assert_array_equal(
        copied.encode_query(later.image, "image"), method.encode_query(later.image, "image")
    )


def test_queries_of_binary_lcdh_keep_the_outputs_whose_signs_are_the_codes() -> None:
    chunk = pairs()
    method = fitted(BinaryLcdh, chunk, bits=16, epochs=2, hidden=16)
    values = method.encode_query(chunk.image, "image")
    np.testing.assert_array_equal(method.encode(chunk.image, "image") > 0, values >= 0)
    assert np.unique(np.abs(values)).size > 100
