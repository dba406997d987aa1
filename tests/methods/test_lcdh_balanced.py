"""LCDH's balanced codes: their sums against the matrices written out, and what the objective asks of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Modality, Shared
from bench.methods.lcdh.balanced import Balanced
from bench.methods.lcdh.history import Signals, UnitRows
from bench.methods.lcdh.linear import unit_rows
from bench.methods.lcdh.student import ClosedForm, Part, Regressions, signs

Array = np.ndarray[Any, Any]
K, L1, L2 = 8, 0.7, 1.3


def signals(n: int, rng: np.random.Generator, *, unlabelled: bool = False) -> Signals:
    labels = (rng.random((n, 4)) < 0.4).astype(float)
    labels[:, 0] = 1.0
    if unlabelled:
        labels[::3] = 0.0
    taught = np.sqrt(K) * unit_rows(rng.standard_normal((n, K)))
    x = np.column_stack([rng.standard_normal((n, 6)), np.ones(n)]).astype(np.float32)
    return Signals(taught, unit_rows(labels), UnitRows.of([x]))


def regressions(n: int, rng: np.random.Generator, new: Signals) -> Regressions:
    phis: dict[Modality, Array] = {
        m: np.column_stack([rng.standard_normal((n, 5)), np.ones(n)]) for m in MODALITIES
    }
    narrow = {m: phi.astype(np.float32) for m, phi in phis.items()}
    return Regressions(ClosedForm.new().functions, Part(new, phis, narrow, Shared(), (), 1.0), 0.1)


def chosen(history: Balanced, new: Signals, rng: np.random.Generator, **changed: Any) -> Array:
    start = signs(rng.standard_normal((len(new.labels), K)))
    how: dict[str, Any] = {"lambda1": L1, "lambda2": L2, "alpha": 0.3, "mu": 0.1, "iterations": 5, "rng": rng}
    return history.codes(new, start, regressions(len(start), rng, new), **{**how, **changed})


def similar(left: Signals, right: Signals, *, mixed: bool) -> Array:
    """λ1 Ĥ Ĥᵀ/N + λ2 k S/N, with S of labels or, for unlabelled rows, of features."""
    assert left.taught is not None and right.taught is not None
    known, seen = (np.asarray(side.labels.any(axis=1)) for side in (left, right))
    of_labels = K * (2.0 * left.labels @ right.labels.T - 1.0) * seen / seen.sum()
    of_features = 2.0 * K * left.features.array() @ right.features.array().T / len(seen)
    online = np.where(known[:, None], of_labels, of_features) if mixed else of_labels
    return np.asarray(L1 * left.taught @ right.taught.T / len(seen) + L2 * online)


@pytest.mark.parametrize("unlabelled", [False, True])
def test_sums_pull_as_the_similarities_written_out(unlabelled: bool) -> None:
    rng = np.random.default_rng(0)
    old, new = (signals(n, rng, unlabelled=unlabelled) for n in (40, 30))
    history = Balanced.empty(K)
    codes = chosen(history, old, rng)
    pull = history.by_codes.pull(new, lambda1=L1, lambda2=L2)
    np.testing.assert_allclose(
        pull, similar(new, old, mixed=unlabelled) @ codes, atol=1e-4 if unlabelled else 1e-9
    )


def test_codes_agree_with_the_similarities_better_than_those_they_start_from() -> None:
    rng = np.random.default_rng(1)
    old, new = signals(60, rng), signals(50, rng)
    gaps = []
    for iterations in (0, 5):
        history = Balanced.empty(K)
        known = chosen(history, old, np.random.default_rng(2))
        codes = chosen(history, new, np.random.default_rng(3), iterations=iterations)
        target = K * (2.0 * new.labels @ old.labels.T - 1.0)
        gaps.append(float(np.mean((codes @ known.T - target) ** 2)))
    assert gaps[1] < 0.7 * gaps[0]


def test_bits_are_nearly_balanced_where_the_similarities_leave_them_free() -> None:
    rng = np.random.default_rng(0)
    codes = chosen(Balanced.empty(K), signals(400, rng), rng, lambda2=0.0, alpha=0.0)
    assert np.abs(codes.mean(axis=0)).max() < 0.2


def test_items_all_of_whose_classes_are_new_start_from_codes_of_their_own() -> None:
    rng = np.random.default_rng(0)
    history = Balanced.empty(K)
    chosen(history, signals(40, rng)._replace(taught=None, labels=np.eye(4)[[0, 1] * 20]), rng)
    new = signals(30, rng)._replace(taught=None, labels=np.eye(4)[[0] * 10 + [2] * 20])
    codes = history.started_with(new, lambda1=L1, lambda2=L2, rng=rng)
    assert len(np.unique(codes[:10], axis=0)) == 1
    assert len(np.unique(codes[10:], axis=0)) > 10
    assert np.abs(codes[10:].mean(axis=0)).max() < 0.9


def test_a_faded_history_pulls_as_if_the_old_items_had_a_smaller_weight() -> None:
    rng = np.random.default_rng(0)
    old, new = signals(40, rng), signals(30, rng)
    history = Balanced.empty(K)
    chosen(history, old, rng)
    before, cross = history.by_codes.pull(new, lambda1=L1, lambda2=L2), np.asarray(history.cross)
    history.fade(0.25)
    np.testing.assert_allclose(history.by_codes.pull(new, lambda1=L1, lambda2=L2), before, atol=1e-9)
    np.testing.assert_allclose(history.cross, 0.25 * cross)
    assert history.by_codes.labels.n == pytest.approx(10.0)


def test_what_it_keeps_does_not_grow() -> None:
    from bench.contract.state import nbytes

    rng, sizes = np.random.default_rng(0), []
    history = Balanced.empty(K)
    for _ in range(3):
        chosen(history, signals(30, rng), rng)
        sizes.append(nbytes(history))
    assert len(set(sizes)) == 1
