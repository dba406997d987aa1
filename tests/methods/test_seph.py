"""SePH: its divergence and regressions against independent computations, and its label sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Split
from bench.checks.trial import Trial, items
from bench.methods.seph import SePH, divergence

Array = np.ndarray[Any, Any]


def problem(sets: int = 7, r: int = 5) -> tuple[Array, Array, Array]:
    """Codes h (sets, r), probabilities of pairs and shares of label sets."""
    rng = np.random.default_rng(0)
    share = rng.random(sets)
    share /= share.sum()
    p = rng.random((sets, sets))
    p += p.T
    return rng.standard_normal((sets, r)), p / p.sum(), share


def test_the_gradient_is_that_of_differences() -> None:
    h, p, share = problem()
    gradient = divergence(h, p, share, alpha=0.3)[1]
    for place in np.ndindex(h.shape):
        step = np.zeros_like(h)
        step[place] = 1e-6
        difference = [divergence(h + s * step, p, share, alpha=0.3)[0] for s in (1, -1)]
        assert gradient[place] == pytest.approx((difference[0] - difference[1]) / 2e-6, abs=1e-7)


def test_the_divergence_is_the_sum_over_pairs_of_items() -> None:
    rng = np.random.default_rng(0)
    labels = items(60).labels
    assert labels is not None
    sets = np.unique(labels, axis=0)
    which = rng.permutation(np.repeat(np.arange(len(sets)), rng.integers(1, 6, len(sets))))
    h = rng.standard_normal((len(sets), 5))
    unit = sets / np.linalg.norm(sets, axis=1, keepdims=True)
    similar = (unit @ unit.T)[np.ix_(which, which)]
    near = 1 / (1 + np.square(h[which][:, None] - h[which]).sum(axis=2) / 4)
    p, q = similar / similar.sum(), near / near.sum()
    told = p > 0
    expected = (p[told] * np.log(p[told] / q[told])).sum()
    expected += 0.3 / h[which].size * np.square(np.abs(h[which]) - 1).sum()

    share = np.bincount(which) / len(which)
    pairs = unit @ unit.T * np.outer(share, share)
    pairs /= pairs.sum()
    constant = (p[told] * np.log(p[told])).sum() + 2 * np.log(len(which))
    value = divergence(h, pairs, share, alpha=0.3)[0] + constant
    assert value == pytest.approx(expected)


def test_the_regressions_are_those_of_newtons_method() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 4))
    codes = np.where(x @ rng.standard_normal((4, 3)) + rng.standard_normal((80, 3)) >= 0, 1, -1)
    found = SePH(bits=3, iterations=500, penalty=2.0)._regress(x, codes.astype(np.int8))
    wide = np.column_stack([x, np.ones(80)])
    for k in range(3):
        w = np.zeros(5)
        for _ in range(30):
            odds = 1 / (1 + np.exp(-wide @ w))
            hessian = wide.T @ (wide * (odds * (1 - odds))[:, None]) + 2 * np.eye(5)
            w += np.linalg.solve(hessian, wide.T @ ((codes[:, k] > 0) - odds) - 2 * w)
        np.testing.assert_allclose(found[:, k], w, atol=1e-8)


def learned(split: Split, **settings: Any) -> Array:
    trial = Trial(SePH, settings)
    method = trial.fit(split)
    codes: Array = method.encode_database(trial.chunks(split)[0], "image")
    return codes


def test_items_of_one_label_set_have_one_learned_code() -> None:
    split = items(90)
    assert split.labels is not None
    codes = learned(split)
    for one in np.unique(split.labels, axis=0):
        assert len(np.unique(codes[(split.labels == one).all(axis=1)], axis=0)) == 1


def test_learned_codes_of_label_sets_are_the_nearer_the_more_they_share() -> None:
    split = items(90)
    assert split.labels is not None
    codes, g = learned(split).astype(int), split.labels / np.linalg.norm(split.labels, axis=1, keepdims=True)
    similar = (g @ g.T).round(2)
    distance = [((16 - codes @ codes.T) / 2)[similar == level].mean() for level in np.unique(similar)]
    assert len(distance) > 2
    assert (np.diff(distance) < 0).all()


def test_items_of_rare_label_sets_get_the_code_that_both_modalities_predict() -> None:
    split = items(90)
    trial = Trial(SePH, {"sets": 3})
    method, chunk = trial.fit(split), trial.chunks(split)[0]
    assert isinstance(method, SePH) and split.labels is not None
    _, which, counts = np.unique(split.labels, axis=0, return_inverse=True, return_counts=True)
    rare = ~np.isin(which.ravel(), np.argsort(-counts, kind="stable")[:3])
    odds = -method.prior_ + sum(
        method.maps_[m](split.batch(m).features) @ method.w_[m][:-1] + method.w_[m][-1] for m in MODALITIES
    )
    codes = method.encode_database(chunk, "text")
    assert 0 < rare.sum() < 90
    np.testing.assert_array_equal(codes[rare], np.where(odds >= 0, 1, -1)[rare])
    assert len(np.unique(codes[~rare], axis=0)) == 3


def test_without_any_label_it_is_safe() -> None:
    split = items(20)
    assert split.labels is not None
    method = Trial(SePH).fit(dataclasses.replace(split, labels=split.labels * 0))
    assert (method.encode(split.image, "image") == 1).all()


def test_labels_help_and_shuffled_ones_do_not(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(SePH(bits=16)) > 0.6
    assert synthetic_map(SePH(bits=16), shuffled=True) < 0.45


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "expected"),
    [("reindexed", {"i2t": 0.245, "t2i": 0.22}), ("learned", {"i2t": 0.35, "t2i": 0.72})],
)
def test_wiki_map(wiki_map: Callable[..., dict[str, float]], database: str, expected: Any) -> None:
    found = wiki_map(lambda seed: SePH(bits=32, seed=seed), database=database, seeds=3)
    assert found == pytest.approx(expected, abs=0.03)
