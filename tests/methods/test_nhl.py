"""NHL: weights of code lengths by hand, short codes inside long ones, one training for all lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods.nhl import NHL, balance, nested

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def test_lengths_double_up_to_the_longest() -> None:
    assert nested(128) == [8, 16, 32, 64, 128]
    assert nested(48) == [8, 16, 32, 48]
    assert nested(8) == [8]


def test_lengths_that_agree_count_alike() -> None:
    assert balance([np.ones((1, 4))] * 3, [1, 2, 4]).tolist() == [1, 1, 1]


def test_a_length_that_opposes_a_shorter_one_counts_less() -> None:
    """‖g_1‖² / 2 = 2 and ⟨g_1, g_3⟩ = -8 give ¼, ⟨g_2, g_3⟩ = -4 gives ½: weights 1, 1, ⅛ times 3 / 2⅛."""
    gradients = [np.array([[2.0, 0, 0]]), np.array([[1.0, 0, 0]]), np.array([[-4.0, 1, 0]])]
    assert balance(gradients, [1, 2, 3]) == pytest.approx(np.array([1, 1, 0.125]) * 3 / 2.125)


def test_the_first_factor_of_a_length_bounds_its_others() -> None:
    """⟨g_1, g_2⟩ = -4 gives ½, which also bounds the factor of the third length, that agrees."""
    gradients = [np.array([[2.0, 0, 0]]), np.array([[-2.0, 0, 0]]), np.array([[0.0, 0, 1]])]
    assert balance(gradients, [1, 2, 3]) == pytest.approx(np.array([1, 0.5, 0.5]) * 3 / 2)


def trained(pairs: Callable[..., Chunk], bits: int, **settings: Any) -> NHL:
    method = NHL(bits=bits, **{"hidden": 64, "longest": 32, **settings})
    for seed in (1, 2):
        method.fit_chunk(pairs(300, seed=seed))
    return method


def test_a_short_code_is_the_beginning_of_a_long_one(pairs: Callable[..., Chunk]) -> None:
    short, long = (trained(pairs, bits, epochs=2) for bits in (8, 32))
    fresh = pairs(50, seed=3)
    for m in MODALITIES:
        codes = long.encode(fresh.batch(m), m)
        np.testing.assert_array_equal(short.encode(fresh.batch(m), m), codes[:, :8])


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_codes_of_every_length_separate_classes(bits: int, pairs: Callable[..., Chunk]) -> None:
    method, fresh = trained(pairs, bits), pairs(200, seed=3)
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same, agree = fresh.labels @ fresh.labels.T > 0, image @ text.T / bits
    assert agree[same].mean() - agree[~same].mean() > 0.6


def test_all_code_lengths_are_trained_once(
    pairs: Callable[..., Chunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk, trained_by, real = pairs(60), [], NHL._train

    def spy(method: Any, items: Chunk) -> Any:
        trained_by.append(method.bits)
        return real(method, items)

    monkeypatch.setattr(NHL, "_train", spy)
    for bits in (8, 16):
        NHL(bits=bits, hidden=8, longest=16, epochs=1).fit_chunk(chunk)
    assert trained_by == [8]


def test_a_code_of_more_bits_than_the_longest_is_trained_on_its_own(pairs: Callable[..., Chunk]) -> None:
    method = trained(pairs, 64, epochs=1)
    assert method.encode(pairs(5).image, "image").shape == (5, 64)
