"""OASIS against the authors' code and its updates on all data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, encode_texts
from bench.errors import DataError
from bench.methods.oasis import OASIS

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [OASIS.presets["authors"], {}], ids=["authors", "default"])
def test_wiki_map_is_that_of_the_authors_code(
    settings: dict[str, Any], wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: OASIS(bits=32, seed=seed, **settings))
    assert found == pytest.approx({"i2t": 0.320, "t2i": 0.695}, abs=0.03)


def transcription(
    chunks: list[Chunk], r: int, *, alpha: float, beta: float, gamma: float, vectors: Array | None = None
) -> list[Array]:
    """Codes of every chunk by the alternating updates, with GGᵀ formed and all old data kept.

    ``vectors`` (c, t) are those of the class names; by default one-hot. The weights must be such that no
    direction is dead: nothing is filled at random here.
    """
    rng = np.random.default_rng(0)
    codes: list[Array] = []
    embeddings: list[Array] = []
    seen: list[Chunk] = []
    for chunk in chunks:
        seen.append(chunk)
        given = [c.labels.astype(float) for c in seen if c.labels is not None]
        given = given if vectors is None else [labels @ vectors for labels in given]
        every = np.concatenate(
            [g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-7) for g in given]
        )
        g = every[-len(chunk) :]
        b = np.where(rng.standard_normal((r, len(g))).T >= 0, 1.0, -1.0)
        u = rng.standard_normal((g.shape[1], r)).T
        for _ in range(5):
            z = alpha * r * g @ every.T @ np.concatenate([*codes, b]) + beta * g @ u.T + b
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(len(g)) * left @ right
            all_v, all_b = np.concatenate([*embeddings, v]), np.concatenate([*codes, b])
            u = np.linalg.solve(all_v.T @ all_v + np.eye(r), all_v.T @ every)
            pull = np.zeros_like(b)
            for m in MODALITIES:
                x = np.concatenate([c.batch(m).features for c in seen]).astype(float)
                w = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ all_b)
                pull += chunk.batch(m).features @ w
            b = np.where(alpha * r * g @ every.T @ all_v + v + gamma * pull >= 0, 1.0, -1.0)
        codes.append(b)
        embeddings.append(v)
    return codes


@pytest.mark.parametrize("weights", [(1e-3, 1.0, 1.0), (1e-2, 0.1, 5.0), (10.0, 1.0, 1.0)])
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(
    weights: tuple[float, float, float], label_stream: Stream, codes_of: CodesOf
) -> None:
    alpha, beta, gamma = weights
    method, chunks = OASIS(bits=6, alpha=alpha, beta=beta, gamma=gamma), label_stream(40, 30, 35, classes=7)
    codes = transcription(chunks, 6, alpha=alpha, beta=beta, gamma=gamma)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(codes))


NAMES = ("red ball", "blue ball", "red_box", "tree", "tall old tree", "box", "subCategory=ball")


def test_labels_are_embedded_by_the_vectors_of_their_names(label_stream: Stream, codes_of: CodesOf) -> None:
    chunks = [dataclasses.replace(chunk, classes=NAMES) for chunk in label_stream(40, 30, 35, classes=7)]
    vectors = encode_texts("bow:1", [name.replace("_", " ").replace("=", " ") for name in NAMES])
    weights: dict[str, Any] = {"alpha": 1e-2, "beta": 1.0, "gamma": 5.0}
    codes = transcription(chunks, 6, **weights, vectors=vectors.astype(float))
    method = OASIS(bits=6, names="bow:1", **weights)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(codes))
    assert method.sums_ is not None and len(method.sums_.gb) == vectors.shape[1] != len(NAMES)


def test_a_class_that_has_not_come_yet_has_sums_through_its_name(label_stream: Stream) -> None:
    [chunk] = label_stream(40, classes=7)
    assert chunk.labels is not None
    chunk.labels[:, 2] = 0  # no red box, but red balls and boxes
    method = OASIS(bits=6, names="bow:1")
    method.fit_chunk(dataclasses.replace(chunk, classes=NAMES))
    assert method.sums_ is not None and method.vectors_ is not None
    assert (method.vectors_[2] @ method.sums_.gb).any()


def test_names_of_a_dataset_that_has_none_are_refused(label_stream: Stream) -> None:
    [chunk] = label_stream(40)
    with pytest.raises(DataError, match=r"oasis\[names=bow:1\]: the dataset names no classes"):
        OASIS(bits=6, names="bow:1").fit_chunk(chunk)


def test_a_view_that_knows_no_word_of_the_names_is_refused(label_stream: Stream) -> None:
    [chunk] = label_stream(40)
    named = dataclasses.replace(chunk, classes=("biology", "warfare", "royalty", "geography"))
    with pytest.raises(DataError, match="gives all 4 names of classes the same vector"):
        OASIS(bits=6, names="clip:small").fit_chunk(named)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = OASIS(bits=8, delta=0.3), label_stream(*sizes, classes=7)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


def test_a_class_that_was_never_seen_is_a_row_of_zeros_in_the_sums(label_stream: Stream) -> None:
    method, (first, second) = OASIS(bits=6), label_stream(40, 40, classes=7)
    assert first.labels is not None
    first.labels[:, 4:] = 0
    method.fit_chunk(first)
    assert method.sums_ is not None
    assert not method.sums_.gb[4:].any() and not method.sums_.gv[4:].any()
    method.fit_chunk(second)
    assert method.sums_.gb[4:].any(axis=1).all()


def test_features_pull_on_the_codes(label_stream: Stream, codes_of: CodesOf) -> None:
    free, pulled = (
        codes_of(OASIS(bits=6, alpha=1e-3, gamma=g), label_stream(40, classes=7)) for g in (0.0, 50.0)
    )
    assert (free != pulled).any()
