"""Methods that subtract deleted items: their hash functions are regressions of the items that are left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Method, Modality
from bench.checks.trial import without
from bench.errors import ParameterError
from bench.methods._online import KeptCodes
from bench.methods.hcfw import HCFW
from bench.methods.lcdh import LCDH, with_ones
from bench.methods.lemon import LEMON
from bench.methods.oasis import OASIS

Array = np.ndarray[Any, Any]
GONE = np.array([3, 50, 11, 119, 64, 65])  # of 120 items in three chunks


def fitted(method: Method, stream: Chunk) -> Array:
    """Train on three chunks, delete some items, and return the learned codes (n, r)."""
    codes = []
    for number, rows in enumerate(np.split(np.arange(120), 3)):
        chunk = stream.take(rows)
        named = Chunk(
            round=number, image=chunk.image, text=chunk.text, labels=chunk.labels, ids=1000 + rows[::-1]
        )
        method.fit_chunk(named)
        codes.append(method.encode_database(named, "image"))
    gone = stream.take(GONE)
    block, place = divmod(GONE, 40)
    ids = 1000 + 40 * block + 39 - place
    method.forget_items(Chunk(round=3, image=gone.image, text=gone.text, labels=gone.labels, ids=ids))
    return np.concatenate(codes)


def regression(x: Array, codes: Array, penalty: float) -> Array:
    x, codes = (np.delete(rows, GONE, axis=0).astype(float) for rows in (x, codes))
    return np.asarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ codes))


@pytest.mark.parametrize(
    "method",
    [LEMON(bits=16, keep_codes=True), OASIS(bits=16, keep_codes=True, delta=1.0), HCFW(bits=16)],
    ids=["lemon", "oasis", "hcfw"],
)
def test_hash_functions_are_fitted_to_the_items_that_are_left(
    method: LEMON | OASIS | HCFW, label_stream: Callable[..., list[Chunk]]
) -> None:
    [stream] = label_stream(120, labelled=True)
    codes = fitted(method, stream)
    for m in MODALITIES:
        expected = regression(stream.batch(m).features, codes, 1.0)
        np.testing.assert_allclose(method.w_[m], expected, atol=1e-9)


@pytest.mark.parametrize("lone", [False, True])
def test_those_of_a_linear_lcdh_are(lone: bool, label_stream: Callable[..., list[Chunk]]) -> None:
    [stream] = label_stream(120, labelled=True)
    absent = np.arange(120) % 5 == 0
    if lone:
        stream = without(stream, image=absent & False, text=absent)
    method = LCDH(bits=16, student="linear", keep_codes=True)
    codes = fitted(method, stream)

    def phi(m: Modality) -> Array:
        made: Array = with_ones(method.features_[m](stream.batch(m).features)).astype(float)
        made[absent & (lone and m == "text")] = 0
        return made

    for m in MODALITIES:
        present = np.delete(phi(m), GONE, axis=0)[:, -1].sum()
        expected = phi(m) @ regression(phi(m), codes, 0.1 * present)
        outputs = method.outputs(stream.batch(m), m)
        rows = phi(m)[:, -1] > 0
        np.testing.assert_allclose(outputs[rows], expected[rows], atol=1e-6)


@pytest.mark.parametrize(
    "make", [LEMON, OASIS, lambda **how: LCDH(student="linear", **how)], ids=["lemon", "oasis", "lcdh"]
)
def test_by_default_nothing_is_kept_and_nothing_is_subtracted(
    make: Callable[..., Any], label_stream: Callable[..., list[Chunk]]
) -> None:
    [stream] = label_stream(120, labelled=True)
    method, other = make(bits=16), make(bits=16, keep_codes=True)
    fitted(method, stream)
    fitted(other, stream)
    assert not len(method.kept_.ids) and len(other.kept_.ids) == 120 - len(GONE)
    assert not np.allclose(method.outputs(stream.text, "text"), other.outputs(stream.text, "text"), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: LEMON(bits=8, student="hidden", keep_codes=True),
            "LEMON: keep_codes applies to",
        ),
        (
            lambda: LCDH(bits=8, keep_codes=True),
            "LCDH: keep_codes applies to",
        ),
    ],
)
def test_codes_are_kept_only_where_items_can_be_subtracted(make: Callable[[], Method], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        make()


def test_kept_codes_are_taken_out_by_their_ids_in_any_order() -> None:
    codes = np.where(np.random.default_rng(0).random((9, 11)) < 0.5, 1, -1)
    kept, ids = KeptCodes.empty(11), np.array([7, 3, 5, 1, 9, 2, 8, 6, 4])
    kept.add(ids[:5], codes[:5])
    kept.add(ids[5:], codes[5:])
    np.testing.assert_array_equal(kept.take_out(np.array([6, 7, 9])), codes[[7, 0, 4]])
    np.testing.assert_array_equal(kept.take_out(np.array([1, 2])), codes[[3, 5]])
    assert kept.packed.nbytes == 2 * len(kept.ids) == 8
