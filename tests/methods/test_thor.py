"""THOR against a plain transcription of its equations on all data, and its class codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.linalg import hadamard, solve_sylvester

from bench.api import MODALITIES, Chunk, DataError
from bench.methods._codes import normalise_labels
from bench.methods.thor import THOR, autoencoder, prototypes

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


def transcription(
    chunks: list[Chunk],
    r: int,
    *,
    alpha: float,
    beta: float,
    theta: float,
    first: float,
    iterations: int,
    alike: Array | None = None,
) -> tuple[list[Array], Array]:
    """Codes of every chunk and the class codes, with S formed, all old data kept, and A, else the identity.

    The draws come in the method's order. No direction may be dead: nothing is filled at random.
    """
    rng = np.random.default_rng(0)
    assert chunks[0].labels is not None
    classes = chunks[0].labels.shape[1]
    alike = np.eye(classes) if alike is None else alike
    k = rng.standard_normal((r, 128)) @ hadamard(128)[:, :classes]
    h, seen = np.zeros((r, classes)), np.zeros(classes, dtype=bool)
    codes: list[Array] = []
    embeddings: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        new = chunk.labels.astype(float)
        labels.append(new)
        fresh = new.any(axis=0) & ~seen
        weight = r if seen.any() else first
        seen |= fresh
        known, similarity = k[:, seen], alike[np.ix_(seen, fresh)]
        right = weight * known @ similarity + alpha * k[:, fresh]
        h[:, fresh] = np.linalg.inv(known @ known.T + alpha * np.eye(r)) @ right
        s = 2 * normalise_labels(new) @ normalise_labels(np.concatenate(labels)).T - 1
        b = np.where(rng.standard_normal((len(new), r)) >= 0, 1.0, -1.0)
        for _ in range(iterations):
            z = beta * r * s @ np.concatenate([*codes, b]) + theta * b
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(len(new)) * left @ right
            target = r * new @ h.T + beta * r * s @ np.concatenate([*embeddings, v]) + theta * v
            b = np.where(target >= 0, 1.0, -1.0)
        codes.append(b)
        embeddings.append(v)
    return codes, h


@pytest.mark.parametrize("settings", [{}, {"first_weight": "alpha"}, {"iterations": 4}], ids=str)
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(
    settings: dict[str, Any], label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(40, 30, 35)
    method = THOR(bits=6, alpha=3.0, beta=1e-3, theta=1.0, **settings)
    first = 3.0 if settings.get("first_weight") else 6.0
    expected, h = transcription(
        chunks, 6, alpha=3.0, beta=1e-3, theta=1.0, first=first, iterations=settings.get("iterations", 1)
    )
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(expected))
    assert method.class_codes_ is not None
    np.testing.assert_allclose(method.class_codes_, h.T, atol=1e-10)


NAMES = ("red ball", "blue ball", "red_box", "tree")
COSINES = np.array([[1, 0.5, 0.5, 0], [0.5, 1, 0, 0], [0.5, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("first", ["alpha", "bits"])
def test_class_codes_follow_the_cosines_of_word_vectors_of_the_names(
    first: Any, label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = [dataclasses.replace(chunk, classes=NAMES) for chunk in label_stream(40, 30, 35)]
    for chunk in chunks[:2]:  # a class that comes later
        assert chunk.labels is not None
        chunk.labels[:, 2] = 0
    method = THOR(bits=6, alpha=3.0, beta=1e-3, theta=1.0, names="bow:1", first_weight=first)
    weights = {"alpha": 3.0, "beta": 1e-3, "theta": 1.0, "first": 3.0 if first == "alpha" else 6.0}
    expected, h = transcription(chunks, 6, **weights, iterations=1, alike=COSINES)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(expected))
    assert method.class_codes_ is not None
    np.testing.assert_allclose(method.class_codes_, h.T, atol=1e-6)


def test_word_vectors_of_classes_without_names_are_refused(label_stream: Stream) -> None:
    [chunk] = label_stream(40)
    with pytest.raises(DataError, match="names no classes"):
        THOR(bits=6, names="bow:1").fit_chunk(chunk)


def test_word_vectors_may_come_from_the_small_clip(label_stream: Stream) -> None:
    [chunk] = label_stream(40)
    method = THOR(bits=6, names="clip:small")
    method.fit_chunk(dataclasses.replace(chunk, classes=NAMES))
    assert method.similar_ is not None
    np.testing.assert_allclose(np.diag(method.similar_), 1, atol=1e-6)
    assert 0 < method.similar_[0, 1] < 0.99999


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_solve_the_sylvester_equation_on_all_codes(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = THOR(bits=4, gamma=0.7, beta=1e-3, theta=1.0), label_stream(*sizes)
    b = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        w = solve_sylvester(b.T @ b, 0.7 * x.T @ x, 1.7 * b.T @ x)
        np.testing.assert_allclose(method.w_[m], w.T, rtol=1e-8, atol=1e-10)


def test_hash_functions_are_zero_where_neither_codes_nor_features_say_anything() -> None:
    rng = np.random.default_rng(0)
    b, x = rng.choice([-1.0, 1.0], (20, 3)), rng.standard_normal((20, 4))
    b, x = np.hstack([b, b]), np.hstack([x, np.zeros((20, 2))])
    values, vectors = np.linalg.eigh(x.T @ x)
    w = autoencoder(b.T @ b, (values, vectors), x.T @ b, 2.0)
    np.testing.assert_allclose(w[4:], 0, atol=1e-12)
    np.testing.assert_allclose(b.T @ b @ w.T + 2 * w.T @ x.T @ x, 3 * b.T @ x, atol=1e-9)
    np.testing.assert_allclose(w[:, :3], w[:, 3:], atol=1e-12)


def test_a_class_gets_its_code_in_the_round_of_its_first_item_and_keeps_it(label_stream: Stream) -> None:
    first, second, third = label_stream(40, 40, 40)
    assert first.labels is not None and second.labels is not None
    first.labels[:, 2:] = 0
    second.labels[:, 3] = 0
    method, seen = THOR(bits=8), []
    for chunk in (first, second, third):
        method.fit_chunk(chunk)
        assert method.class_codes_ is not None
        seen.append(method.class_codes_.copy())
    assert [np.abs(h).sum(axis=1).astype(bool).sum() for h in seen] == [2, 3, 4]
    np.testing.assert_array_equal(seen[0][:2], seen[2][:2])
    np.testing.assert_array_equal(seen[1][2], seen[2][2])


@pytest.mark.parametrize(("classes", "bits", "order"), [(10, 128, 128), (10, 256, 256), (200, 256, 256)])
def test_as_many_bits_as_the_matrix_has_rows_keep_hadamard_columns(
    classes: int, bits: int, order: int
) -> None:
    found = prototypes(classes, bits, np.random.default_rng(0))
    np.testing.assert_array_equal(found, hadamard(order)[:, :classes].T)


def test_more_classes_than_128_take_a_larger_hadamard_matrix() -> None:
    found = prototypes(255, 16, np.random.default_rng(0))
    assert found.shape == (255, 16) and len(np.unique(found, axis=0)) == 255


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:only . of 693 query codes")  # a seed whose texts have three codes
def test_wiki_map_is_well_above_chance(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: THOR(bits=32, seed=seed))
    assert found["i2t"] > 0.17 and found["t2i"] > 0.5  # chance is 0.108
