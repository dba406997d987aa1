"""CHOICE: codes of the authors' program on Wiki, sums over chunks, new classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods.choice import CHOICE

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]


def test_codes_and_hash_functions_are_those_of_the_authors_program(
    golden: Any,
    wiki_chunks: list[Chunk],
    codes_of: Callable[..., Array],
    bitstrings: Callable[..., list[str]],
) -> None:
    settings = {**CHOICE.presets["authors"], "anchors": 0, "affinity": 0.5}
    method = CHOICE(bits=8, parents="0 1 2 3 0 1 2 3 0 1", **settings)
    method.rng = golden
    items = codes_of(method, wiki_chunks)[[0, 1, 599]]
    assert bitstrings(items) == ["01101101", "01000011", "00110011"]
    first = {m: method.w_[m].T[0, :3] for m in MODALITIES}
    np.testing.assert_allclose(first["image"], [-0.84263981, -0.14640873, 2.28152231], atol=1e-8)
    np.testing.assert_allclose(first["text"], [1.41539874, 1.69569884, 1.51625464], atol=1e-8)


@pytest.mark.parametrize("settings", [{}, {"parents": "0 0 1 1"}, {"anchors": 0}], ids=str)
def test_items_that_share_labels_agree_in_more_bits(
    settings: dict[str, Any], label_stream: Stream, codes_of: Callable[..., Array]
) -> None:
    chunks = label_stream(100, 80, single=True)
    method = CHOICE(bits=16, **settings)
    learned = codes_of(method, chunks).astype(float)
    labels = np.concatenate([c.labels for c in chunks if c.labels is not None])
    hashed = np.concatenate([method.encode(c.text, "text") for c in chunks]).astype(float)
    same = labels @ labels.T > 0
    for other in (learned, hashed):
        agree = learned @ other.T / 16
        assert agree[same].mean() > agree[~same].mean() + 0.5


def test_a_class_may_come_in_a_later_round(label_stream: Stream, codes_of: Callable[..., Array]) -> None:
    first, second = label_stream(80, 80, single=True)
    assert first.labels is not None and second.labels is not None
    first.labels[:, 3] = 0
    codes = codes_of(CHOICE(bits=16), [first, second])[80:].astype(float)
    new = second.labels[:, 3] > 0
    agree = codes @ codes.T / 16
    assert agree[new][:, new].mean() > agree[new][:, ~new].mean() + 0.5
