"""Bags of words: whose vocabulary, which texts decide, and what counts as a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Raw, Setting
from bench.data.views.names import View
from bench.errors import DataError, ParameterError


def raw(texts: list[str], toy: Any, train: int, vocabulary: tuple[str, ...] = ()) -> Raw:
    n = len(texts)
    whole: Raw = toy(n=n, queries=n - train).raw(Path())
    return replace(whole, texts=texts, vocabulary=vocabulary)


def rows(view: str, data: Raw) -> tuple[list[str], np.ndarray[Any, Any]]:
    made = View.parse(view).load("text", data, Setting(root=Path()))
    return made.about["words"], made.many([made.one(text) for text in data.texts])


def test_words_of_enough_training_texts_are_kept_and_are_binary(toy: Any) -> None:
    names, found = rows("bow:2", raw(["red cat cat", "red dog", "red cat bird"], toy, 2))
    assert names == ["red"]
    np.testing.assert_array_equal(found, [[1], [1], [1]])


def test_queries_decide_neither_words_nor_weights(toy: Any) -> None:
    one, other = (
        rows("tfidf:1", raw(["red cat", "red dog", query], toy, 2)) for query in ("owl owl", "red cat")
    )
    assert one[0] == other[0] == ["cat", "dog", "red"]
    np.testing.assert_array_equal(one[1][:2], other[1][:2])


def test_the_vocabulary_of_the_dataset_is_used_in_its_order(toy: Any) -> None:
    names, found = rows("bow", raw(["Canon EOS", "owl, canon!", "nothing"], toy, 2, ("owl", "eos", "canon")))
    assert names == ["owl", "eos", "canon"]
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 0, 1], [0, 0, 0]])


def test_tfidf_rows_have_norm_one_and_weigh_rare_words_more(toy: Any) -> None:
    names, found = rows("tfidf:1", raw(["red cat", "red dog", "red owl"], toy, 2))
    np.testing.assert_allclose(np.linalg.norm(found[:2], axis=1), 1, atol=1e-6)
    assert found[0, names.index("cat")] > found[0, names.index("red")]


def test_no_word_left_says_to_lower_the_number(toy: Any) -> None:
    with pytest.raises(DataError, match=r"no word is in 2 training texts.*bow:1"):
        rows("bow:2", raw(["red", "cat", "dog"], toy, 2))


@pytest.mark.parametrize("view", ["bow:0", "bow:x", "tfidf:-1"])
def test_an_impossible_number_is_refused(toy: Any, view: str) -> None:
    with pytest.raises(ParameterError, match=r"least must be int in \[1, inf\)"):
        rows(view, raw(["red", "cat", "dog"], toy, 2))
