"""DLCH: its loss and its update of codes against golden values, codes that stay, classes that come later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods._codes import normalise_labels
from bench.methods._likeness import likeness_error
from bench.methods.dlch import DLCH, renewed

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def test_the_first_phases_loss_is_that_of_the_authors_function(golden: Any) -> None:
    labels = normalise_labels(golden.labels)
    a, b, like = (torch.tensor(x) for x in (golden.normal(8, 16), golden.normal(16, 8).T, labels @ labels.T))
    assert float(likeness_error(a, b, like)) == pytest.approx(0.2398429340, abs=1e-9)


def test_new_codes_are_those_of_the_authors_function(
    golden: Any, bitstrings: Callable[[Array], list[str]]
) -> None:
    labels, outputs = normalise_labels(golden.labels), np.tanh(golden.normal(8, 16))
    own = np.zeros((6, 16))
    own[:3] = outputs[:3]
    pull = 16 * (labels @ labels[:6].T).T @ outputs + 10 * own
    codes = renewed(np.where(golden.normal(6, 16) >= 0, 1.0, -1.0), outputs, pull)
    assert bitstrings(codes) == [
        *("1010001100111010", "1110101001101011", "1111000001101000"),
        *("1000001100111010", "1000001010110010", "1100101010010010"),
    ]


def separation(codes: dict[str, Array], labels: Array | None) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    assert labels is not None
    image, text = (codes[m].astype(float) for m in MODALITIES)
    same, agree = labels @ labels.T > 0, image @ text.T / image.shape[1]
    return float(agree[same].mean() - agree[~same].mean())


def of_classes(chunk: Chunk, *classes: int) -> Chunk:
    assert chunk.labels is not None
    rows = np.flatnonzero(chunk.labels[:, list(classes)].any(axis=1))
    return dataclasses.replace(
        chunk,
        image=chunk.image.take(rows),
        text=chunk.text.take(rows),
        labels=chunk.labels[rows],
        ids=chunk.ids[rows],
    )


def trained(*chunks: Chunk, **settings: Any) -> DLCH:
    method = DLCH(**{"bits": 16, "hidden": 64, "batch": 64, **settings})
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


def hashed(method: DLCH, fresh: Chunk) -> float:
    return separation({m: method.encode(fresh.batch(m), m) for m in MODALITIES}, fresh.labels)


def after_new_classes(pairs: Callable[..., Chunk], **settings: Any) -> float:
    """Separation of all classes, of which two came first and two in a later chunk."""
    chunks = of_classes(pairs(300, seed=1), 0, 1), of_classes(pairs(300, seed=2), 2, 3)
    return hashed(trained(*chunks, **settings), pairs(200, seed=3))


def test_classes_that_come_later_get_codes_of_their_own(pairs: Callable[..., Chunk]) -> None:
    assert after_new_classes(pairs) > 0.8


def test_without_similarities_among_new_items_their_codes_are_worse(pairs: Callable[..., Chunk]) -> None:
    """The release computes and drops them."""
    assert after_new_classes(pairs, fresh=0.0) < 0.7


def test_codes_of_images_and_texts_agree(pairs: Callable[..., Chunk]) -> None:
    assert hashed(trained(pairs(300, seed=1)), pairs(200, seed=3)) > 0.6


def test_remembered_codes_never_change(pairs: Callable[..., Chunk]) -> None:
    method = DLCH(bits=16, hidden=64, epochs=3, memory=500)
    first = pairs(100, seed=1)
    method.fit_chunk(first)
    given = method.encode_database(first, "image")
    method.fit_chunk(pairs(100, seed=2))
    np.testing.assert_array_equal(method.memory_.rows["codes"][:100], given)
