"""OLCH, our reconstruction, against a plain transcription of its equations, and its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.contract import state
from bench.methods._codes import normalise_labels
from bench.methods.olch import OLCH, safe_step, shrink

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


@pytest.mark.parametrize("sizes", [(40,), (40, 30, 25)])
def test_chunkwise_sums_give_what_the_equations_give_on_all_data(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks, r, gamma, one = label_stream(*sizes), 3, 0.3, np.eye(3)
    u = np.random.default_rng(0).standard_normal((r, 4))
    semantics: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        labels.append(normalise_labels(chunk.labels))
        for _ in range(10):
            v = labels[-1] @ u.T @ np.linalg.inv(u @ u.T + gamma * one)
            every = np.concatenate([*semantics, v])
            u = np.linalg.inv(every.T @ every + gamma * one) @ every.T @ np.concatenate(labels)
        semantics.append(v)
    method = OLCH(bits=r, gamma=gamma)
    expected = np.where(np.concatenate(semantics) >= 0, 1, -1)
    np.testing.assert_array_equal(codes_of(method, chunks), expected)
    assert method.u_ is not None
    np.testing.assert_allclose(method.u_, u, rtol=1e-9, atol=1e-12)


def test_hash_functions_follow_forward_backward_steps(label_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks, kappa = OLCH(bits=4, epochs=2, size=16, kappa=0.05), label_stream(40, 30), 0.05
    codes_of(method, chunks)
    rng = np.random.default_rng(0)
    rng.standard_normal((4, 4))
    codes = np.split(codes_of(OLCH(bits=4), chunks), [40])
    w: dict[str, Array] = {m: np.zeros((chunks[0].batch(m).features.shape[1], 4)) for m in MODALITIES}
    for t, chunk in enumerate(chunks):
        for m in MODALITIES:
            seen = np.concatenate([c.batch(m).features for c in chunks[: t + 1]]).astype(float)
            x = chunk.batch(m).features - seen.mean(axis=0)
            for _ in range(2):
                order = rng.permutation(len(x))
                for rows in (order[i : i + 16] for i in range(0, len(x), 16)):
                    h = min(len(s) / np.linalg.norm(s, 2) ** 2 for s in (x, x[rows]))
                    w[m] = w[m] - h / len(rows) * x[rows].T @ (x[rows] @ w[m] - codes[t][rows])
                    length = np.linalg.norm(w[m], axis=1, keepdims=True)
                    w[m] = w[m] * np.maximum(1 - h * kappa / length, 0)
    for m in MODALITIES:
        np.testing.assert_allclose(method.w_[m], w[m], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (1, 5)])
def test_the_step_is_one_over_the_curvature(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    assert safe_step(x) == pytest.approx(len(x) / np.linalg.norm(x, 2) ** 2)


def test_a_chunk_that_centring_leaves_nothing_of_is_no_step() -> None:
    assert safe_step(np.zeros((1, 5))) == 0


def test_shrinking_shortens_rows_and_removes_short_ones() -> None:
    w = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(shrink(w, 1.0), [[2.4, 3.2], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("outliers", [1.0, 20.0])
def test_mini_batches_steeper_than_the_chunk_do_not_diverge(outliers: float) -> None:
    rng, method = np.random.default_rng(0), OLCH(bits=8)
    for t in range(3):
        x = rng.standard_normal((600, 200)).astype(np.float32)
        x[::300] *= outliers
        labels = (rng.random((600, 5)) < 0.3).astype(np.uint8)
        method.fit_chunk(Chunk(round=t, image=Batch(x), text=Batch(x), labels=labels, ids=np.arange(600)))
    assert np.abs(method.w_["image"]).max() < 10


def test_the_state_has_nothing_of_the_size_of_features_squared(label_stream: Stream) -> None:
    method = OLCH(bits=4)
    method.fit_chunk(label_stream(40)[0])
    doubles = (6 + 5) * 4 + 4 * 4 + 2 * 4 * 4 + (6 + 5)  # W, VᵀV, VᵀG and U, means
    assert state.nbytes({k: v for k, v in method.state_dict().items() if k != "rng"}) == 8 * (doubles + 2)


@pytest.mark.slow
def test_wiki_map_is_that_of_the_reconstruction(wiki_map: Callable[..., dict[str, float]]) -> None:
    found = wiki_map(lambda seed: OLCH(bits=32, seed=seed))
    assert found == pytest.approx({"i2t": 0.315, "t2i": 0.701}, abs=0.03)
