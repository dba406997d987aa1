"""The sums, solves and label steps that online methods share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import Shared
from bench.methods import _online
from bench.methods._codes import balanced_orthogonal, normalise_labels, procrustes
from bench.methods._online import RunningGram, RunningMean, RunningRidge, dot, linear_codes


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("left", ["C", "F", "strided"])
@pytest.mark.parametrize("right", ["C", "F", "strided"])
def test_dot_equals_the_matrix_product_in_any_memory_order(left: str, right: str) -> None:
    orders: dict[str, Any] = {
        "C": np.ascontiguousarray,
        "F": np.asfortranarray,
        "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    }
    a, b = random(7, 5), random(5, 3, seed=1)
    np.testing.assert_allclose(dot(orders[left](a), orders[right](b)), a @ b, rtol=1e-13)


def test_dot_sums_float32_in_float64() -> None:
    ones = np.full((1, 10_001), 1.0, dtype=np.float32)
    ones[0, 0] = 1e8
    assert dot(ones, np.ones((10_001, 1), dtype=np.float32))[0, 0] == 1e8 + 10_000


@given(cuts=st.lists(st.integers(1, 39), unique=True, max_size=6))
@settings(deadline=None, max_examples=30)
def test_mean_and_ridge_do_not_depend_on_how_rows_are_cut_into_chunks(cuts: list[int]) -> None:
    x, y = random(40, 6) + 3, random(40, 2, seed=1)
    mean, ridge = RunningMean(), RunningRidge()
    for rows in np.split(np.arange(40), sorted(cuts)):
        mean.add(x[rows])
        ridge.add(x[rows], y[rows], Shared(), "x")
    np.testing.assert_allclose(mean.mean, x.mean(axis=0), rtol=1e-12)
    batch = np.linalg.solve(x.T @ x + 0.5 * np.eye(6), x.T @ y)
    np.testing.assert_allclose(ridge.solve(0.5, Shared(), "x"), batch, rtol=1e-9)


def test_two_sums_share_nothing() -> None:
    one, other = RunningRidge(), RunningRidge()
    one.add(random(4, 2), random(4, 1), Shared(), "x")
    assert other.gram.gram is None


def test_factor_survives_columns_that_depend_on_each_other() -> None:
    x = random(50, 4) * 1e4
    gram = RunningGram()
    gram.add(np.hstack([x, x, np.zeros((50, 1))]))
    y = x @ np.ones((4, 1))
    w = gram.factor(1e-30).solve(np.vstack([x.T @ y, x.T @ y, np.zeros((1, 1))]))
    np.testing.assert_allclose(np.hstack([x, x]) @ w[:8], y, rtol=1e-6)


def test_linear_codes_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = random(10, 4).astype(np.float32), random(4, 3, seed=1)
    whole = linear_codes(x, w, 0.1)
    monkeypatch.setattr(_online, "_BLOCK", 3)
    np.testing.assert_array_equal(linear_codes(x, w, 0.1), whole)


def test_linear_codes_hash_a_zero_to_plus_one() -> None:
    assert (linear_codes(np.zeros((2, 4), np.float32), random(4, 3)) == 1).all()


def test_normalised_labels_give_cosine_similarity_and_keep_empty_rows() -> None:
    g = normalise_labels(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], np.uint8))
    np.testing.assert_allclose(g @ g.T, [[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]], atol=1e-15)


@given(n=st.integers(2, 40), r=st.integers(1, 12), rank=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_balanced_orthogonal_is_feasible_and_reaches_the_maximum(
    n: int, r: int, rank: int, seed: int
) -> None:
    z = 1e5 * random(n, rank, seed=seed) @ random(rank, r, seed=seed + 1)
    v = balanced_orthogonal(z, np.random.default_rng(seed))
    np.testing.assert_allclose(v.sum(axis=0), 0, atol=1e-4)
    if n > r:
        np.testing.assert_allclose(v.T @ v, n * np.eye(r), atol=1e-3)
    else:
        assert np.linalg.eigvalsh(v.T @ v)[-1] <= n * (1 + 1e-6)
    reachable = np.sqrt(n) * np.linalg.norm(z - z.mean(axis=0), ord="nuc")
    np.testing.assert_allclose(np.trace(v.T @ z), reachable, rtol=1e-5, atol=1e-3)


def test_relative_tolerance_does_not_see_the_scale() -> None:
    z = random(30, 3) @ random(3, 6, seed=1)
    small, large = (balanced_orthogonal(s * z, np.random.default_rng(0)) for s in (2.0**-30, 2.0**30))
    np.testing.assert_array_equal(small, large)


def test_absolute_tolerance_takes_small_directions_for_dead() -> None:
    z = 1e-6 * random(30, 4)
    relative = balanced_orthogonal(z, np.random.default_rng(0), tolerance=1e-6)
    absolute = balanced_orthogonal(z, np.random.default_rng(0), tolerance=1e-6, absolute=True)
    assert np.trace(absolute.T @ z) < 0.5 * np.trace(relative.T @ z)


def test_balanced_orthogonal_of_one_row_is_zero() -> None:
    np.testing.assert_array_equal(
        balanced_orthogonal(random(1, 4), np.random.default_rng(0)), np.zeros((1, 4))
    )


def test_procrustes_finds_the_rotation() -> None:
    v, rotation = random(20, 5), np.linalg.qr(random(5, 5, seed=1))[0]
    np.testing.assert_allclose(procrustes((v @ rotation).T @ v), rotation, atol=1e-12)
