"""DOCH against the authors' code, its updates on plain arrays, and what it keeps of old items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.contract import state
from bench.methods.doch import DOCH

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [DOCH.presets["authors"], {}], ids=["authors", "default"])
def test_wiki_map_is_that_of_the_authors_code(
    settings: dict[str, Any], wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: DOCH(bits=32, seed=seed, **settings))
    assert found == pytest.approx({"i2t": 0.287, "t2i": 0.668}, abs=0.03)


def transcription(chunks: list[Chunk], *, r: int, alpha: float, theta: float, anchors: int) -> list[Array]:
    """Codes of every chunk by the coordinate steps as they are written, all recomputed for every bit."""
    rng = np.random.default_rng(0)
    codes: list[Array] = []
    labels: list[Array] = []
    for chunk in chunks:
        assert chunk.labels is not None
        new = chunk.labels.astype(float)
        b, p = np.where(rng.standard_normal((len(new), r)) >= 0, 1.0, -1.0), rng.standard_normal((r, 5))
        for _ in range(7):
            for _ in range(3):
                if codes:
                    rows = [rng.permutation(len(c))[:anchors] for c in codes]
                    a = np.concatenate([c[i] for c, i in zip(codes, rows, strict=True)])
                    given = np.concatenate([y[i] for y, i in zip(labels, rows, strict=True)])
                else:
                    first = rng.permutation(len(new))[:anchors]
                    a, given = b[first].copy(), new[first]
                s = (new @ given.T > 0).astype(float)
                for k in range(r):
                    likely = 1 / (1 + np.exp(-alpha * b @ a.T))
                    pairs = alpha * (s - likely) @ a[:, k] + alpha**2 * len(a) / 4 * b[:, k]
                    others = b @ p @ p[k] - b[:, k] * (p[k] @ p[k])
                    step = pairs + theta * (2 * new @ p[k] - 2 * others)
                    b[:, k] = np.where(step >= 0, 1.0, -1.0)
            every = np.concatenate([*codes, b])
            p = np.linalg.pinv(every.T @ every) @ every.T @ np.concatenate([*labels, new])
        codes.append(b)
        labels.append(new)
    return codes


@pytest.mark.parametrize("sizes", [(40, 30, 35), (30, 5, 50)])
@pytest.mark.parametrize(("alpha", "theta"), [(0.35, 0.1), (0.1, 1.0), (0.05, 0.0)])
def test_packed_sums_and_tables_give_what_the_updates_give_on_all_data(
    sizes: tuple[int, ...], alpha: float, theta: float, label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(*sizes, classes=5)
    method = DOCH(bits=6, alpha=alpha, theta=theta, anchors=20)
    expected = transcription(chunks, r=6, alpha=alpha, theta=theta, anchors=20)
    np.testing.assert_array_equal(codes_of(method, chunks), np.concatenate(expected))


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(
    sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = DOCH(bits=8, ridge=0.3), label_stream(*sizes, classes=5)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([c.batch(m).features for c in chunks]).astype(float)
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-8, atol=1e-10)


def test_without_ridge_columns_that_depend_on_each_other_share_their_weight(label_stream: Stream) -> None:
    method, chunk = DOCH(bits=8, ridge=0.0), label_stream(40, classes=5)[0]
    double = Batch(np.repeat(chunk.image.features, 2, axis=1))
    method.fit_chunk(Chunk(round=0, image=double, text=chunk.text, labels=chunk.labels, ids=chunk.ids))
    np.testing.assert_allclose(method.w_["image"][::2], method.w_["image"][1::2], atol=1e-8)


@pytest.mark.parametrize(
    ("bits", "alpha"),
    [(4, 0.45), (8, 0.45), (16, 0.35), (24, 0.2915), (32, 0.25), (64, 0.15), (128, 0.1), (256, 0.1)],
)
def test_alpha_is_the_authors_at_their_code_lengths_and_between_them_elsewhere(
    bits: int, alpha: float
) -> None:
    assert DOCH(bits=bits).slope == pytest.approx(alpha, abs=1e-4)


def test_a_given_alpha_is_taken() -> None:
    assert DOCH(bits=16, alpha=0.07).slope == 0.07


def test_old_codes_and_labels_are_kept_a_bit_for_a_bit(label_stream: Stream, codes_of: CodesOf) -> None:
    method, chunks = DOCH(bits=12), label_stream(40, 30, classes=5)
    codes = codes_of(method, chunks)
    kept = [np.unpackbits(old.codes, axis=1, count=12) for old in method.old_]
    np.testing.assert_array_equal(np.concatenate(kept), codes > 0)
    marks = [np.unpackbits(old.labels, axis=1, count=5) for old in method.old_]
    np.testing.assert_array_equal(marks[1], chunks[1].labels)


def test_an_item_adds_only_its_bits_to_the_state(label_stream: Stream) -> None:
    method, (first, second) = DOCH(bits=16), label_stream(40, 100, classes=5)
    method.fit_chunk(first)
    before = state.nbytes(method.state_dict())
    method.fit_chunk(second)
    assert state.nbytes(method.state_dict()) - before == 100 * (16 // 8 + 1)


def test_anchors_come_from_every_old_chunk(label_stream: Stream, codes_of: CodesOf) -> None:
    method = DOCH(bits=8, anchors=10)
    codes_of(method, label_stream(40, 4, 30, classes=5))
    codes, labels = method._anchors(np.ones((3, 8)), np.ones((3, 5)))
    assert codes.shape == (10 + 4 + 10, 8) and labels.shape == (24, 5)
