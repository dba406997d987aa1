"""SHOH: codes of the authors' program on Wiki, flat labels, parents of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.errors import ParameterError
from bench.methods.shoh import SHOH

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]


def test_codes_of_items_and_classes_are_those_of_the_authors_program(
    golden: Any,
    wiki_chunks: list[Chunk],
    codes_of: Callable[..., Array],
    bitstrings: Callable[..., list[str]],
) -> None:
    method = SHOH(bits=16, parents="0 1 2 3 0 1 2 3 0 1")
    method.rng = golden
    items = codes_of(method, wiki_chunks)[[0, 1, 599]]
    above, given = method.layers_
    assert bitstrings(items) == ["1001110010111100", "1010001111001101", "1001011000011100"]
    assert bitstrings(above.codes.T) == [
        "1010000111011001",
        "1001110000011100",
        "0100101011011000",
        "0101010101001000",
    ]
    assert bitstrings(given.codes.T[:3]) == ["1010000011011001", "0001110000011101", "0100101010011000"]
    first = {m: method.w_[m].T[0, :3] for m in MODALITIES}
    np.testing.assert_allclose(first["image"], [-2.69028387, -1.97705629, -8.75758559], atol=1e-8)
    np.testing.assert_allclose(first["text"], [-0.96342816, -1.15711282, -10.66376064], atol=1e-8)


@pytest.mark.parametrize("parents", ["", "0 0 1 1"])
def test_codes_lower_the_objective_of_one_chunk(
    parents: str, label_stream: Stream, codes_of: Callable[..., Array]
) -> None:
    """Of the given labels: items that share more labels agree in more bits."""
    [chunk] = label_stream(150, single=True)
    codes = codes_of(SHOH(bits=16, parents=parents), [chunk]).astype(float)
    assert chunk.labels is not None
    same = chunk.labels @ chunk.labels.T > 0
    agree = codes @ codes.T / 16
    assert agree[same].mean() > 0.9 and agree[~same].mean() < 0.2


def test_class_means_pull_the_hash_functions_to_the_codes_of_classes(label_stream: Stream) -> None:
    [chunk] = label_stream(150, single=True)
    method = SHOH(bits=16, mu=1e9)
    method.fit_chunk(chunk)
    assert chunk.labels is not None
    shares = chunk.labels / chunk.labels.sum(axis=0)
    means = shares.T.astype(float) @ chunk.image.features
    np.testing.assert_allclose(means @ method.w_["image"], method.layers_[1].codes.T, atol=1e-3)


@pytest.mark.parametrize("parents", ["0 1", "0 1 2 x", "a"])
def test_parents_that_do_not_fit_the_classes_are_refused(parents: str, label_stream: Stream) -> None:
    with pytest.raises(ParameterError, match="one whole number for each of the 4 classes"):
        SHOH(bits=8, parents=parents).fit_chunk(label_stream(20)[0])
