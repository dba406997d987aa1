"""DOCMH: its embedding of labels against the batch formula, and the authors' mAP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from bench.api import MODALITIES, Chunk
from bench.methods.docmh import DOCMH, Autoencoder

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


def parts(chunk: Chunk) -> tuple[dict[Literal["image", "text"], Array], Array]:
    assert chunk.labels is not None
    return {m: chunk.batch(m).features.astype(float) for m in MODALITIES}, chunk.labels.astype(float)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:only 2 of 693 query codes")  # the authors' codes collapse at times
def test_wiki_map_is_that_of_the_authors_code(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: DOCMH(bits=32, seed=seed, **DOCMH.presets["authors"]))
    assert found == pytest.approx({"i2t": 0.231, "t2i": 0.609}, abs=0.03)


@pytest.mark.slow
def test_default_wiki_map_is_no_less_than_that_of_the_authors_code(
    wiki_map: Callable[..., dict[str, float]],
) -> None:
    found = wiki_map(lambda seed: DOCMH(bits=32, seed=seed))
    assert found["i2t"] > 0.231 - 0.03 and found["t2i"] > 0.609 + 0.03


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_the_embedding_of_labels_is_the_batch_one_however_the_stream_is_cut(
    sizes: tuple[int, ...], label_stream: Stream
) -> None:
    encoder, chunks = Autoencoder(), label_stream(*sizes, classes=5)
    for chunk in chunks:
        encoder.add(*parts(chunk), eta=0.1, gamma=10.0)
    x = np.concatenate([np.hstack(list(parts(c)[0].values())) for c in chunks])
    labels = np.concatenate([parts(c)[1] for c in chunks])
    right = 0.1 * (labels.T @ labels + 10 * np.eye(5))
    expected = solve_sylvester(x.T @ x, right, 1.1 * x.T @ labels)
    assert encoder.m is not None
    np.testing.assert_allclose(encoder.m, expected, rtol=1e-8, atol=1e-10)


def test_the_sum_of_embedded_labels_has_every_chunk_with_the_embedding_of_its_round(
    label_stream: Stream,
) -> None:
    encoder, expected = Autoencoder(), np.zeros((11, 11))
    for chunk in label_stream(30, 20, 25, classes=5):
        x, labels = parts(chunk)
        encoder.add(x, labels, eta=0.1, gamma=10.0)
        assert encoder.m is not None
        y = labels @ encoder.m.T
        expected += y.T @ y
    assert encoder.yy.gram is not None
    np.testing.assert_allclose(np.tril(encoder.yy.gram), np.tril(expected), atol=1e-8)


def embedded(method: DOCMH, chunk: Chunk) -> Array:
    left, right = method._similarity(parts(chunk)[1])
    u: Array = left @ right.T
    return u


def test_embedded_items_have_length_one_and_those_without_labels_none(label_stream: Stream) -> None:
    method, chunk = DOCMH(bits=8), label_stream(40, classes=5)[0]
    assert chunk.labels is not None
    chunk.labels[:5] = 0
    method.fit_chunk(chunk)
    lengths = np.linalg.norm(embedded(method, chunk), axis=1)
    np.testing.assert_allclose(lengths, chunk.labels.any(axis=1), atol=1e-9)


def test_the_authors_code_scales_columns_instead(label_stream: Stream) -> None:
    method, chunk = DOCMH(bits=8, scaled="code"), label_stream(40, classes=5)[0]
    method.fit_chunk(chunk)
    np.testing.assert_allclose(np.linalg.norm(embedded(method, chunk), axis=0), np.ones(11), atol=1e-9)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30)])
def test_hash_functions_are_the_ridge_on_all_codes_less_the_drift_of_their_round(
    sizes: tuple[int, ...], label_stream: Stream
) -> None:
    method, chunks = DOCMH(bits=8, gamma=2.0, xi=0.5), label_stream(*sizes, classes=5)
    targets: dict[str, list[Array]] = {m: [] for m in MODALITIES}
    before = {m: np.zeros(8) for m in MODALITIES}
    for t, chunk in enumerate(chunks):
        method.fit_chunk(chunk)
        for m in MODALITIES:
            now = method.threshold_[m]
            drift = now if t == 0 else (now - 0.3 * before[m]) / 0.7
            targets[m].append(method.encode_database(chunk, m) - drift)
            before[m] = now
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 4.0 * np.eye(x.shape[1]), x.T @ np.concatenate(targets[m]))
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


def test_the_rotation_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    bv, start = rng.standard_normal((6, 6)), np.linalg.qr(rng.standard_normal((6, 6)))[0]
    best = DOCMH(bits=6)._rotate(start, bv, classes=6)
    assert np.trace(best.T @ bv.T) == pytest.approx(np.linalg.norm(bv, ord="nuc"))


@pytest.mark.parametrize("classes", [5, 6, 7])
def test_the_rotation_of_the_authors_code_depends_on_the_number_of_classes(classes: int) -> None:
    rng = np.random.default_rng(0)
    bv, start = rng.standard_normal((6, 6)), np.linalg.qr(rng.standard_normal((6, 6)))[0]
    u, _, vt = np.linalg.svd(bv.T)
    found = DOCMH(bits=6, rotation="code")._rotate(start, bv, classes=classes)
    np.testing.assert_allclose(found, {5: (u.T @ vt.T).T, 6: start, 7: (u @ vt).T}[classes], atol=1e-12)


def test_queries_are_thresholded_at_the_drift(label_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks = DOCMH(bits=8), label_stream(60, 60, classes=5)
    codes_of(method, chunks)
    query = chunks[1]
    scores = query.text.features.astype(float) @ method.w_["text"] - method.threshold_["text"]
    np.testing.assert_array_equal(method.encode(query.text, "text"), np.where(scores >= 0, 1, -1))
