"""OH-ELS against a plain transcription of its updates, its replayed codes and its growing classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods.oh_els import OHELS, Reservoir, share_labels

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


def sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def transcription(
    chunks: list[Chunk], r: int, *, lam: float, alpha: float, anchors: int, replay: int, iterations: int
) -> tuple[list[Array], Array]:
    """Codes of every chunk and the last weights (c, r); items are columns, all old codes are kept.

    Replayed are the old items with the lowest keys. No update is incremental.
    """
    rng = np.random.default_rng(0)
    assert chunks[0].labels is not None
    classes = chunks[0].labels.shape[1]
    w, seen, one = np.zeros((classes, r)), np.zeros(classes, dtype=bool), np.eye(r)
    keys = np.empty(0)
    codes: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        new = chunk.labels.T.astype(float)
        n, last = new.shape[1], w
        b, v = (np.where(rng.standard_normal((n, r)) >= 0, 1.0, -1.0).T for _ in range(2))
        lowest = np.argsort(keys)[:replay]
        old = np.hstack([*codes, np.empty((r, 0))])[:, lowest]
        old_labels = np.hstack([*labels, np.empty((classes, 0))])[:, lowest]
        for _ in range(iterations):
            q = rng.choice(n, size=min(anchors, n), replace=False)
            s, s_old = new.T @ new[:, q] > 0, new.T @ old_labels > 0
            bq = b[:, q]
            for i in range(r):
                f, f_old = sigmoid(lam / r * v.T @ bq), sigmoid(lam / r * v.T @ old)
                g = lam / r * (bq[i] @ (s - f).T + old[i] @ (s_old - f_old).T)
                g = g - 2 * (w.T @ w @ v - w.T @ new)[i]
                h = lam**2 * (len(q) + old.shape[1]) / (4 * r**2) + 2
                v[i] = np.where(g + h * v[i] >= 0, 1, -1)
            vq = v[:, q]
            for i in range(r):
                f = sigmoid(lam / r * b.T @ vq)
                g = lam / r * vq[i] @ (s - f).T
                b[i] = np.where(g + lam**2 * len(q) / (4 * r**2) * b[i] >= 0, 1, -1)
            w = new @ v.T @ np.linalg.pinv(v @ v.T)
            known = (new @ v.T + alpha * last) @ np.linalg.inv(v @ v.T + alpha * one)
            w[seen] = known[seen]
        seen = seen | new.any(axis=1)
        keys = np.concatenate([keys, rng.random(n)])
        codes.append(b)
        labels.append(new)
    return [b.T for b in codes], w


@pytest.mark.parametrize("replay", [0, 15, 1000])
def test_codes_and_weights_are_those_of_the_updates_on_all_data(
    replay: int, label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(40, 30, 35)
    assert chunks[0].labels is not None
    chunks[0].labels[:, 3] = 0  # a class that comes later
    settings: dict[str, Any] = {"lam": 5.0, "alpha": 7.0, "anchors": 12, "replay": replay, "iterations": 3}
    method = OHELS(bits=6, **settings)
    expected, w = transcription(chunks, 6, **settings)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(expected))
    assert method.weights_ is not None
    np.testing.assert_allclose(method.weights_, w.T, atol=1e-9)


@pytest.mark.parametrize(("bits", "lam"), [(16, 4.0), (32, 8.0), (64, 10.0)])
def test_steepness_is_the_papers_at_its_code_lengths(
    bits: int, lam: float, label_stream: Stream, codes_of: CodesOf
) -> None:
    given, default = (codes_of(OHELS(bits=bits, lam=value), label_stream(40)) for value in (lam, None))
    np.testing.assert_array_equal(given, default)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_regression_on_all_codes_ever_given(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = OHELS(bits=8), label_stream(*sizes)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        np.testing.assert_allclose(method.w_[m], np.linalg.lstsq(x, codes)[0], rtol=1e-6, atol=1e-8)


def test_the_reservoir_keeps_every_old_item_equally_often() -> None:
    kept = np.zeros(60)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        sample = Reservoir(np.empty(0), np.empty((0, 2), np.int8), np.empty((0, 1), np.uint8))
        for items in np.split(np.arange(60, dtype=np.uint8), [10, 40]):
            sample = sample.add(np.ones((len(items), 2), np.int8), items[:, None], 12, rng)
        assert len(sample.labels) == 12
        kept[sample.labels[:, 0]] += 1
    assert np.abs(kept - 80).max() < 5 * np.sqrt(400 * 0.2 * 0.8)


def test_replayed_codes_are_old_ones_with_their_own_labels(label_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks = OHELS(bits=16, replay=20), label_stream(40, 40)
    codes = codes_of(method, chunks)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None])
    given = {(*b, *y) for b, y in zip(codes.tolist(), labels.tolist(), strict=True)}
    assert method.replay_ is not None and len(method.replay_.codes) == 20
    kept = zip(method.replay_.codes.tolist(), method.replay_.labels.tolist(), strict=True)
    assert all((*b, *y) in given for b, y in kept)


def test_classes_of_earlier_rounds_stay_near_their_weights(label_stream: Stream, codes_of: CodesOf) -> None:
    chunks = label_stream(40, 40)
    method = OHELS(bits=8, alpha=1e9)
    codes_of(method, chunks[:1])
    before = method.weights_
    codes_of(method, chunks[1:])
    assert method.weights_ is not None and before is not None
    np.testing.assert_allclose(method.weights_, before, atol=1e-5)


def test_items_share_labels_or_do_not() -> None:
    one, other = np.array([[1, 1, 0], [0, 0, 0]]), np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1]])
    np.testing.assert_array_equal(share_labels(one, other), [[1, 0, 1], [0, 0, 0]])


@pytest.mark.slow
def test_wiki_map_is_well_above_chance(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: OHELS(bits=32, seed=seed))
    assert found["i2t"] > 0.17 and found["t2i"] > 0.5  # chance is 0.108
