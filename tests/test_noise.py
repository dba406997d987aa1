"""Label noise: who gets wrong labels, which ones, and who sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.checks.trial import items
from bench.contract.method import Capabilities
from bench.errors import DataError, ParameterError
from bench.plugins import registry
from bench.protocol import axes, noise, stream
from bench.protocol.shown import shown
from bench.records import RunSpec, Schedule
from bench.running.hosts import Isolation
from bench.study.study import Study

PLUGINS = Path(__file__).with_name("plugins")
KINDS = ("sym", "swap", "pair")


def labels(n: int = 300, classes: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = (rng.random((n, classes)) < 0.25).astype(np.uint8)
    made[np.arange(n), rng.integers(classes, size=n)] = 1
    return made


def drawn(text: str, true: np.ndarray, seed: int = 0) -> noise.Wrong:
    return noise.draw(true, text, np.random.default_rng(seed))


def spec(**changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 16), **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_at_a_smaller_rate_is_wrong_at_a_larger_one_with_the_same_labels(kind: str) -> None:
    few, many = (drawn(f"{kind}:{rate}", labels()) for rate in (0.2, 0.4))
    assert (len(few.rows), len(many.rows)) == (60, 120)
    np.testing.assert_array_equal(many.labels[np.isin(many.rows, few.rows)], few.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_keeps_its_number_of_labels(kind: str) -> None:
    true = labels()
    wrong = drawn(f"{kind}:1", true)
    np.testing.assert_array_equal(wrong.labels.sum(axis=1), true[wrong.rows].sum(axis=1))


def test_swap_changes_one_label_off_and_one_on() -> None:
    true = labels()
    wrong = drawn("swap:0.5", true)
    assert ((wrong.labels != true[wrong.rows]).sum(axis=1) == 2).all()


def test_pair_takes_every_class_for_another_and_always_the_same() -> None:
    wrong = drawn("pair:1", np.eye(6, dtype=np.uint8)[np.arange(60) % 6])
    mistaken = wrong.labels.argmax(axis=1).reshape(10, 6)
    assert (mistaken == mistaken[0]).all() and sorted(mistaken[0]) == list(range(6))
    assert (mistaken[0] != np.arange(6)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_without_labels_stays_without(kind: str) -> None:
    assert not drawn(f"{kind}:1", np.zeros((20, 4), np.uint8)).labels.any()


def test_the_effective_rate_of_sym_leaves_out_labels_drawn_right() -> None:
    true = np.eye(4, dtype=np.uint8)[np.zeros(4000, int)]
    share = drawn("sym:0.4", true).share(true, np.arange(4000))
    assert share == pytest.approx(0.4 * 3 / 4, abs=0.02)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="two classes or more; this one has 1"):
        drawn("sym:0.2", np.ones((5, 1), np.uint8))


def test_a_method_sees_the_wrong_labels_and_the_data_keep_the_true_ones() -> None:
    data = items(64)
    assert data.labels is not None
    true = data.labels.copy()
    plan = stream.of(spec(noise="swap:0.5"), data)
    rows = np.concatenate(plan.rounds)
    seen = shown(data, rows, Capabilities(supervised=True), plan.withheld).labels
    assert seen is not None and (seen != true[rows]).any(axis=1).sum() == 32
    np.testing.assert_array_equal(data.labels, true)


def test_withheld_labels_stay_withheld() -> None:
    data = items(64)
    plan = stream.of(spec(noise="swap:1", labelled=0.0), data)
    seen = shown(data, plan.rounds[0], Capabilities(supervised=True), plan.withheld).labels
    assert seen is not None and not seen.any()


def test_noise_changes_neither_the_order_nor_the_items_to_train_on() -> None:
    data = items(64)
    clean, noisy = (stream.of(spec(train="0.5", noise=text), data) for text in ("none", "sym:0.5"))
    np.testing.assert_array_equal(np.concatenate(clean.rounds), np.concatenate(noisy.rounds))
    np.testing.assert_array_equal(clean.trained, noisy.trained)


def test_no_noise_has_the_key_of_records_without_the_axis() -> None:
    assert spec().key == "ed30fa5a03997fb6"
    assert spec(noise="sym:0.2").key != spec().key


@pytest.mark.parametrize(
    ("text", "same"), [("sym:.20", "sym:0.2"), ("pair:0", "none"), ("swap:1.0", "swap:1")]
)
def test_one_noise_has_one_text(text: str, same: str) -> None:
    assert Study.make(None, noise=text).noise == (same,)


@pytest.mark.parametrize("text", ["sym", "sym:1.1", "sym:-0.1", "sym:nan", "flip:0.1", "sym:0.1x", ""])
def test_a_noise_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"noise must be none or one of sym:RATE.*Try sym:0\.2"):
        axes.noise(text)


def test_a_record_states_the_effective_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    results = bench.run(
        methods="watches", datasets="tiny", bits=8, seeds=1, train="all", noise="pair:0.5",
        plugin=[str(PLUGINS / f"{name}.py") for name in ("watches", "tiny")],
        results=str(tmp_path / "runs"), isolation=Isolation(in_process=True),
    )  # fmt: skip
    note = "noise pair:0.5: 50.0% of the 60 training items have wrong labels"
    assert note in results.records[0].notes
    assert "noise pair:0.5: labels of training items are wrong" in str(results.table())
