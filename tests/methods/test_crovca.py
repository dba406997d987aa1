"""CroVCA: its losses against golden values, normalisation in codes, labels and lone modalities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.checks.trial import without
from bench.methods.crovca import CroVCA, agreement, class_targets, coding_rate

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
QUICK: dict[str, Any] = {"bits": 16, "hidden": 64, "epochs": 20, "batch": 100}


def test_losses_are_those_of_the_specification(golden: Any) -> None:
    a, b = torch.tensor(golden.normal(8, 16)), torch.tensor(golden.normal(16, 8).T.copy())
    labels = torch.tensor(golden.labels, dtype=torch.float64)
    inv = (agreement(a, b > 0) + agreement(b, a > 0)) / 2
    reg = -(coding_rate(a) + coding_rate(b)) / 2
    wanted = class_targets([a, b], [labels, labels])
    supervised = (agreement(a, wanted[0]) + agreement(b, wanted[1])) / 2
    values = [float(x) for x in (inv, reg, inv + 0.1 * reg, supervised)]
    assert values == pytest.approx([0.8139379997, -2.5655228445, 0.5573857152, 0.6258495049], abs=1e-9)


def separation(method: CroVCA, fresh: Chunk) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same, agree = fresh.labels @ fresh.labels.T > 0, image @ text.T / method.bits
    return float(agree[same].mean() - agree[~same].mean())


@pytest.mark.parametrize("labels", [True, False])
def test_codes_separate_classes_with_labels_and_without(labels: bool, pairs: Callable[..., Chunk]) -> None:
    method = CroVCA(**QUICK, labels=labels)
    for seed in (1, 2):
        method.fit_chunk(pairs(300, seed=seed))
    assert separation(method, pairs(200, seed=3)) > 0.3


def test_lone_modalities_learn_from_labels(pairs: Callable[..., Chunk]) -> None:
    """Half of the items have an image alone, the others a text alone; no pair is seen."""
    chunk = pairs(400, seed=1)
    half = np.arange(400) < 200
    method = CroVCA(**QUICK)
    method.fit_chunk(without(chunk, image=half, text=~half))
    assert separation(method, pairs(200, seed=3)) > 0.3


def test_hashing_folds_the_running_averages_into_the_last_layer(pairs: Callable[..., Chunk]) -> None:
    method, chunk = CroVCA(**QUICK), pairs(300)
    method.fit_chunk(chunk)
    v, a, w, b = method.layers_["image"]
    gain, bias, mean, variance = method.norm_["image"]
    x = (chunk.image.features - method.mean_["image"]) / method.scale_["image"]
    out = (np.maximum(x @ v + a, 0) @ w + b - mean) / np.sqrt(variance + 1e-5) * gain + bias
    np.testing.assert_array_equal(method.encode(chunk.image, "image"), np.where(out >= 0, 1, -1))


def test_bits_are_balanced(pairs: Callable[..., Chunk]) -> None:
    method = CroVCA(**QUICK, labels=False)
    method.fit_chunk(pairs(300, seed=1))
    codes = method.encode(pairs(300, seed=1).text, "text")
    assert np.abs(codes.mean(axis=0)).max() < 0.8
