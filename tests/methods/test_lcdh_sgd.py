"""LCDH by gradients: slopes against numbers, and what the history pins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Modality
from bench.checks.trial import Trial, items
from bench.contract import state
from bench.methods.lcdh import LCDH, with_ones
from bench.methods.lcdh.history import Group, History, Signals, UnitRows
from bench.methods.lcdh.linear import unit_rows
from bench.methods.lcdh.sgd import Layers, backward, forward, loss_slopes
from bench.methods.lcdh.student import signs

Array = np.ndarray[Any, Any]
K, L1, L2, GAMMA = 6, 0.7, 1.3, 0.4
SGD: dict[str, Any] = {"solver": "sgd", "student": "linear", "teacher": "zero", "epochs": 5}


def signals(n: int, rng: np.random.Generator) -> Signals:
    labels = (rng.random((n, 4)) < 0.4).astype(float)
    labels[:, 0] = 1.0
    taught = np.sqrt(K) * unit_rows(rng.standard_normal((n, K)))
    features = UnitRows.of([np.column_stack([rng.standard_normal((n, 5)), np.ones(n)]).astype(np.float32)])
    return Signals(taught, unit_rows(labels), features)


def difference(p: Array, q: Array, left: Signals, right: Signals) -> float:
    """Σ λ ‖P Qᵀ/k - S‖² / (rows of both), with every similarity written out."""
    assert left.taught is not None and right.taught is not None
    taught = left.taught @ right.taught.T / K
    online = 2.0 * left.labels @ right.labels.T - 1.0
    gaps = p @ q.T / K - taught, p @ q.T / K - online
    return float((L1 * np.sum(gaps[0] ** 2) + L2 * np.sum(gaps[1] ** 2)) / (len(p) * len(q)))


def loss(
    outputs: Mapping[Modality, Array], rounded: Array, new: Signals, old: Signals, codes: Array
) -> float:
    f, g = outputs["image"], outputs["text"]
    total = difference(f, g, new, new) + sum(0.5 * difference(x, x, new, new) for x in (f, g))
    total += sum(difference(x, codes, new, old) for x in (f, g))
    return total + GAMMA / (len(f) * K) * float(sum(np.sum((x - rounded) ** 2) for x in (f, g)))


def test_slopes_are_those_of_the_written_out_loss() -> None:
    rng = np.random.default_rng(0)
    new, old, codes = signals(9, rng), signals(14, rng), signs(rng.standard_normal((14, K)))
    outputs: dict[Modality, Array] = {m: np.tanh(rng.standard_normal((9, K))) for m in MODALITIES}
    history = History.empty(K)
    history.add(old, codes)
    pins: list[Group] = history.groups(new, lambda1=L1, lambda2=L2)
    slopes = loss_slopes(outputs, new, pins, lambda1=L1, lambda2=L2, gamma=GAMMA)
    rounded = signs(outputs["image"] + outputs["text"])
    for m in MODALITIES:
        for i, j in ((0, 0), (4, 3), (8, 5)):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {n: x.copy() for n, x in outputs.items()}
                moved[m][i, j] += step
                ends.append(loss(moved, rounded, new, old, codes))
            assert slopes[m][i, j] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


def test_slopes_in_the_weights_are_those_of_the_outputs_through_the_layer() -> None:
    rng = np.random.default_rng(1)
    phi = np.column_stack([rng.standard_normal((5, 3)), np.ones(5)])
    weights, slope = rng.standard_normal((4, K)), rng.standard_normal((5, K))
    gradient = backward(phi, forward(weights, phi), slope)
    ends = []
    for step in (1e-6, -2e-6):
        weights[1, 2] += step
        ends.append(np.sum(slope * forward(weights, phi)))
    weights[1, 2] += 1e-6
    assert gradient.shape == weights.shape
    assert gradient[1, 2] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_training_lowers_the_gap_between_codes_and_labels() -> None:
    chunk = Trial(LCDH).chunks(items(200))[0]
    gaps = []
    for epochs in (1, 40):
        method = LCDH(bits=16, **{**SGD, "epochs": epochs})
        method.fit_pool(chunk)
        method.fit_chunk(chunk)
        f, g = (method.encode(chunk.batch(m), m).astype(float) for m in MODALITIES)
        assert chunk.labels is not None
        target = 2.0 * unit_rows(chunk.labels) @ unit_rows(chunk.labels).T - 1.0
        gaps.append(float(np.mean((f @ g.T / 16 - target) ** 2)))
    assert gaps[1] < 0.7 * gaps[0]


def agreement(**settings: Any) -> float:
    """Correlation of the codes that two rounds give to the same items."""
    method = LCDH(bits=16, **{**SGD, "epochs": 50, **settings})
    first, second = Trial(LCDH).chunks(items(200), items(200, seed=1))
    method.fit_pool(first)
    method.fit_chunk(first)
    before = method.encode(first.image, "image").astype(float)
    method.fit_chunk(second)
    return float(np.mean(before * method.encode(first.image, "image")))


def test_the_history_pins_networks_that_start_anew_and_nothing_else_would() -> None:
    assert agreement(warm=False) > 0.4
    assert abs(agreement(warm=False, pin=False)) < 0.2


def test_a_run_resumed_from_a_file_equals_one_without_a_break(tmp_path: Path) -> None:
    method, other = (LCDH(bits=8, **SGD) for _ in range(2))
    chunks = Trial(LCDH).chunks(*(items(seed=i) for i in range(3)))
    method.fit_pool(chunks[0])
    for chunk in chunks[:2]:
        method.fit_chunk(chunk)
    state.save(tmp_path / "s.npz", method.state_dict())
    other.load_state_dict(state.load(tmp_path / "s.npz"))
    for m in (method, other):
        m.fit_chunk(chunks[2])
    np.testing.assert_array_equal(
        method.encode_database(chunks[2], "text"), other.encode_database(chunks[2], "text")
    )
    np.testing.assert_array_equal(method.encode(chunks[0].text, "text"), other.encode(chunks[0].text, "text"))


def test_state_does_not_grow_with_the_stream() -> None:
    method, sizes = LCDH(bits=8, **SGD), []
    for chunk in Trial(LCDH).chunks(*(items(seed=i) for i in range(4))):
        method.fit_chunk(chunk)
        sizes.append(state.nbytes(method.state_dict()))
    assert len(set(sizes)) == 1


def test_an_item_without_a_modality_moves_nothing_of_that_modality() -> None:
    rng = np.random.default_rng(2)
    phi = np.column_stack([rng.standard_normal((6, 3)), np.ones(6)])
    phi[4:] = 0.0
    weights, slope = rng.standard_normal((4, K)), rng.standard_normal((6, K))
    outputs = forward(weights, phi)
    assert not outputs[4:].any()
    some = backward(phi[:4], outputs[:4], slope[:4])
    np.testing.assert_allclose(backward(phi, outputs, slope), some, atol=1e-12)


def test_codes_are_those_of_both_layers_together() -> None:
    chunk: Chunk = Trial(LCDH).chunks(items())[0]
    method = LCDH(bits=16, **SGD)
    method.fit_chunk(chunk)
    assert isinstance(method.linear_, Layers)
    phis: dict[Modality, Array] = {
        m: with_ones(method.features_[m](chunk.batch(m).features)) for m in MODALITIES
    }
    image, text = (method.linear_.project(phis[m], m) for m in MODALITIES)
    np.testing.assert_array_equal(method.encode_database(chunk, "image"), signs(image + text))
