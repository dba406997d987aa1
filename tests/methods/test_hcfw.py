"""HCFW: codes of classes as in the authors' program; they never change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.errors import ParameterError
from bench.methods.hcfw import HCFW

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CODES = {
    7: "0010101110110111",
    8: "1110100101101010",
    9: "0101100110101101",
    4: "0010111110110111",
    5: "1110000101101010",
    6: "0101100011101100",
    0: "0111010011011011",
    1: "0001011011111100",
    2: "1100100110111100",
    3: "1111001100011001",
}


def by_class(chunks: list[Chunk]) -> list[Chunk]:
    """The items of classes 0 to 3, then 4 to 6, then 7 to 9."""
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None])
    x = {m: np.concatenate([c.batch(m).features for c in chunks]) for m in MODALITIES}
    parts = []
    for t, group in enumerate((slice(0, 4), slice(4, 7), slice(7, 10))):
        rows = np.flatnonzero(labels[:, group].any(axis=1))
        image, text = (Batch(x[m][rows]) for m in MODALITIES)
        parts.append(Chunk(round=t, image=image, text=text, labels=labels[rows], ids=rows))
    return parts


def test_class_codes_and_hash_functions_are_those_of_the_authors_program(
    golden: Any, wiki_chunks: list[Chunk], bitstrings: Callable[..., list[str]]
) -> None:
    method = HCFW(bits=16)
    method.rng = golden
    vectors = golden.normal(10, 20)
    method.vectors_ = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for chunk in by_class(wiki_chunks):
        method.fit_chunk(chunk)
    assert method.codes_ is not None
    assert dict(enumerate(bitstrings(method.codes_))) == CODES
    first = {m: method.w_[m].T[0, :3] for m in MODALITIES}
    np.testing.assert_allclose(first["image"], [-1.00444948, 0.10904453, -0.10770742], atol=1e-8)
    np.testing.assert_allclose(first["text"], [-1.42947794, -1.16112519, 0.63870716], atol=1e-8)


def test_the_code_of_a_class_never_changes(label_stream: Stream) -> None:
    first, second = label_stream(40, 40)
    assert first.labels is not None
    first.labels[:, 2:] = 0
    method = HCFW(bits=8)
    method.fit_chunk(first)
    assert method.codes_ is not None
    before = method.codes_.copy()
    method.fit_chunk(second)
    assert (method.codes_[:2] == before[:2]).all() and not before[2:].any() and method.codes_.all()


def test_with_one_hot_vectors_the_codes_of_classes_stay_as_they_were_drawn(label_stream: Stream) -> None:
    [chunk] = label_stream(60, classes=10)
    method, rng = HCFW(bits=16), np.random.default_rng(0)
    method.rng = np.random.default_rng(0)
    method.fit_chunk(chunk)
    np.testing.assert_array_equal(method.codes_, np.where(rng.standard_normal((16, 10)).T >= 0, 1.0, -1.0))


def test_an_item_without_labels_gets_the_code_of_its_features_and_teaches_nothing(
    label_stream: Stream,
) -> None:
    [chunk] = label_stream(60)
    assert chunk.labels is not None
    chunk.labels[:20] = 0
    method, other = HCFW(bits=8), HCFW(bits=8)
    method.fit_chunk(chunk)
    codes = method.encode_database(chunk, "text")[:20]
    np.testing.assert_array_equal(codes, method.encode(chunk.text.take(slice(0, 20)), "text"))
    rest = chunk.take(slice(20, None))
    other.fit_chunk(Chunk(round=0, image=rest.image, text=rest.text, labels=rest.labels, ids=rest.ids))
    np.testing.assert_allclose(method.w_["text"], other.w_["text"], atol=1e-8)


def test_words_without_class_names_are_refused(label_stream: Stream) -> None:
    with pytest.raises(ParameterError, match="needs the names of the classes"):
        HCFW(bits=8, words="clip:small").fit_chunk(label_stream(20)[0])


def test_vectors_of_class_names_have_length_1(label_stream: Stream) -> None:
    [chunk] = label_stream(20)
    method = HCFW(bits=8, words="bow:1")
    method.fit_chunk(dataclasses.replace(chunk, classes=("cat", "dog", "cat and dog", "tree")))
    assert method.vectors_ is not None
    np.testing.assert_allclose(np.linalg.norm(method.vectors_, axis=1), 1)
