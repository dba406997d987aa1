"""LEMON against the authors' code, its batch formula and its contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import state
from bench.api import MODALITIES, Batch, Chunk
from bench.methods.lemon import LEMON

Array = np.ndarray[Any, Any]


def make(n: int = 40, *, seed: int = 0, classes: int = 4, round: int = 0) -> Chunk:
    """Pairs whose two feature vectors are noisy linear images of their labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, classes)) < 0.4).astype(np.uint8)
    maps = np.random.default_rng(99)
    image, text = (
        (labels @ maps.standard_normal((classes, d)) + 0.1 * rng.standard_normal((n, d))).astype(np.float32)
        for d in (6, 5)
    )
    return Chunk(round=round, image=Batch(image), text=Batch(text), labels=labels, ids=np.arange(n))


def stream(*sizes: int) -> list[Chunk]:
    return [make(n, seed=t, round=t) for t, n in enumerate(sizes)]


def codes_of(method: LEMON, chunks: list[Chunk]) -> Array:
    codes = []
    for chunk in chunks:
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


@pytest.mark.parametrize("settings", [LEMON.presets["authors"], {}], ids=["authors", "default"])
def test_codes_and_hash_functions_are_those_of_the_authors_code(
    settings: dict[str, Any], golden: SimpleNamespace
) -> None:
    method = LEMON(bits=16, **settings)
    method.rng = golden.rng
    np.testing.assert_array_equal(codes_of(method, golden.chunks()), golden.codes["LEMON_B"])
    np.testing.assert_allclose(method.w_["image"], golden.codes["LEMON_W1"], atol=1e-12)
    np.testing.assert_allclose(method.w_["text"], golden.codes["LEMON_W2"], atol=1e-12)


@pytest.mark.slow
def test_wiki_map_is_that_of_the_authors_code(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: LEMON(bits=32, seed=seed))
    assert found == pytest.approx({"i2t": 0.326, "t2i": 0.716}, abs=0.03)


@pytest.mark.slow
def test_wiki_map_of_an_encoded_database_is_that_of_the_authors_code(
    wiki_map: Callable[..., dict[str, float]],
) -> None:
    found = wiki_map(lambda seed: LEMON(bits=32, seed=seed), database="reindexed")
    assert found == pytest.approx({"i2t": 0.216, "t2i": 0.210}, abs=0.03)


def transcription(
    chunks: list[Chunk], r: int, *, alpha: float, beta: float, gamma: float
) -> tuple[list[Array], list[Array]]:
    """Codes and embeddings of every chunk by the alternating updates, with S formed and all old data kept.

    The weights must be such that no direction is dead: nothing is filled at random here.
    """
    rng = np.random.default_rng(0)
    codes: list[Array] = []
    embeddings: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        new = chunk.labels.astype(float)
        n = len(new)
        labels.append(new)
        every = np.concatenate(labels)
        unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-7) for x in (new, every)]
        s = 2 * unit[0] @ unit[1].T - 1
        b, v = np.where(rng.standard_normal((n, r)) >= 0, 1.0, -1.0), rng.standard_normal((n, r))
        rotation = np.linalg.svd(rng.standard_normal((r, r)))[0]
        for _ in range(5):
            all_v = np.concatenate([*embeddings, v])
            p = np.linalg.inv(all_v.T @ all_v + gamma * np.eye(r)) @ all_v.T @ every
            z = b @ rotation.T + beta * new @ p.T + alpha * r * s @ np.concatenate([*codes, b])
            left, _, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
            v = np.sqrt(n) * left @ right
            all_b, all_v = np.concatenate([*codes, b]), np.concatenate([*embeddings, v])
            left, _, right = np.linalg.svd(all_v.T @ all_b)
            rotation = left @ right
            b = np.where(alpha * r * s @ all_v + v @ rotation >= 0, 1.0, -1.0)
        codes.append(b)
        embeddings.append(v)
    return codes, embeddings


@pytest.mark.parametrize("weights", [(1e-3, 1.0, 5.0), (1e-2, 0.1, 0.1), (1e-3, 10.0, 50.0)])
def test_chunkwise_sums_give_what_the_updates_give_on_all_data(weights: tuple[float, float, float]) -> None:
    alpha, beta, gamma = weights
    method, chunks = LEMON(bits=6, alpha=alpha, beta=beta, gamma=gamma), stream(40, 30, 35)
    codes, embeddings = transcription(chunks, 6, alpha=alpha, beta=beta, gamma=gamma)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(codes))
    assert method.sums_ is not None
    v, b = np.concatenate(embeddings), np.concatenate(codes)
    np.testing.assert_allclose(method.sums_.bv, b.T @ v, atol=1e-6)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(sizes: tuple[int, ...]) -> None:
    method, chunks = LEMON(bits=8, xi=0.3), stream(*sizes)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


def test_sums_are_those_of_all_codes_ever_given() -> None:
    method, chunks = LEMON(bits=8), stream(30, 20, 25)
    codes = codes_of(method, chunks).astype(float)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None]).astype(float)
    g = labels / np.maximum(np.linalg.norm(labels, axis=1, keepdims=True), 1e-7)
    assert method.sums_ is not None
    np.testing.assert_allclose(method.sums_.gb, g.T @ codes, atol=1e-10)
    np.testing.assert_allclose(method.sums_.vv, len(codes) * np.eye(8), atol=1e-3)


def test_equal_seeds_give_equal_codes_and_others_do_not() -> None:
    one, same, other = (codes_of(LEMON(bits=16, seed=s), stream(40, 40)) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_saved_state_goes_on_as_if_never_interrupted(tmp_path: Path) -> None:
    first, second = stream(40, 40)
    whole, resumed = LEMON(bits=16), LEMON(bits=16)
    whole.fit_chunk(first)
    state.save(tmp_path / "s.npz", whole.state_dict())
    resumed.load_state_dict(state.load(tmp_path / "s.npz"))
    np.testing.assert_array_equal(codes_of(resumed, [second]), codes_of(whole, [second]))
    np.testing.assert_array_equal(resumed.encode(second.text, "text"), whole.encode(second.text, "text"))


def test_codes_of_old_items_stay_as_they_were() -> None:
    method, (first, second) = LEMON(bits=8), stream(40, 40)
    method.fit_chunk(first)
    given = method.encode_database(first, "image")
    kept = given.copy()
    method.fit_chunk(second)
    np.testing.assert_array_equal(given, kept)
    assert method.update_database("image") is None


def test_both_modalities_of_a_learned_item_have_one_code() -> None:
    method, chunk = LEMON(bits=8), make()
    method.fit_chunk(chunk)
    np.testing.assert_array_equal(
        method.encode_database(chunk, "image"), method.encode_database(chunk, "text")
    )


@pytest.mark.parametrize("sizes", [(1, 1, 1), (40, 1), (5, 3), (16, 16)])
def test_chunks_no_larger_than_the_bits_are_safe(sizes: tuple[int, ...]) -> None:
    method = LEMON(bits=16)
    codes = codes_of(method, stream(*sizes))
    assert codes.shape == (sum(sizes), 16) and codes.dtype == np.int8
    assert set(np.unique(codes)) <= {-1, 1}
    assert all(np.isfinite(w).all() for w in method.w_.values())


def test_unlabelled_items_and_classes_missing_from_a_chunk_are_safe() -> None:
    method, (first, second) = LEMON(bits=8), stream(40, 40)
    assert first.labels is not None and second.labels is not None
    first.labels[:, 0] = 0
    second.labels[:, 1:] = 0
    second.labels[:10] = 0
    assert set(np.unique(codes_of(method, [first, second]))) <= {-1, 1}
    assert all(np.isfinite(w).all() for w in method.w_.values())


def test_items_of_one_label_set_get_one_code_even_across_rounds() -> None:
    method, chunks = LEMON(bits=32), stream(60, 60)
    codes = codes_of(method, chunks)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None])
    single = labels.sum(axis=1) == 1
    for one in np.unique(labels[single], axis=0):
        assert len(np.unique(codes[(labels == one).all(axis=1)], axis=0)) == 1


def test_items_that_share_labels_are_nearer_in_hamming_distance() -> None:
    method = LEMON(bits=32)
    codes_of(method, stream(60, 60))
    query = make(30, seed=7)
    assert query.labels is not None
    image, text = (method.encode(query.batch(m), m).astype(float) for m in MODALITIES)
    shared = (query.labels.astype(int) @ query.labels.T) > 0
    near, far = ((32 - image @ text.T)[mask].mean() / 2 for mask in (shared, ~shared))
    assert near < far - 4


def test_the_code_of_an_item_does_not_depend_on_its_batch() -> None:
    method, chunk = LEMON(bits=16), make()
    method.fit_chunk(chunk)
    whole = method.encode(chunk.image, "image")
    single = [method.encode(chunk.image.take(slice(i, i + 1)), "image") for i in range(len(chunk))]
    np.testing.assert_array_equal(np.concatenate(single), whole)


def test_the_state_does_not_grow_with_the_stream() -> None:
    method, sizes = LEMON(bits=8), []
    for chunk in stream(40, 40, 40):
        method.fit_chunk(chunk)
        sizes.append(state.nbytes(method.state_dict()))
    assert sizes[0] == sizes[1] == sizes[2]
