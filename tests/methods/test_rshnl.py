"""RSHNL and SCBCH: their losses against golden values, noisy labels, unlabelled items."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods._scbch import classification, pair_contrast, quantisation, trust
from bench.methods.rshnl import RSHNL, label_loss, paced, partner_contrast

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


@pytest.fixture
def inputs(golden: Any) -> tuple[Any, ...]:
    """Outputs of both modalities, class embeddings and labels."""
    u, v = golden.unit(8, 16), golden.unit(16, 8, transposed=True)
    return tuple(torch.tensor(x, dtype=torch.float64) for x in (u, v, golden.unit(5, 16), golden.labels))


def test_the_contrast_of_pairs_is_that_of_the_authors_function(inputs: tuple[Any, ...]) -> None:
    assert float(partner_contrast(*inputs[:2], tau=1.0)) == pytest.approx(5.3782678329, abs=1e-9)


def first_only(labels: Any) -> Any:
    return labels * (labels.cumsum(dim=1) == 1)


@pytest.mark.parametrize(
    ("labels", "warm", "five", "three"),
    [
        (lambda y: y, 2.6527278909, -0.3597136038, 0.3012407559),
        (first_only, 3.8001313734, 0.2216521024, 0.5351064681),
    ],
    ids=["several", "single"],
)
def test_losses_with_warmup_and_pacing_are_those_of_the_authors_function(
    labels: Callable[[Any], Any], warm: float, five: float, three: float, inputs: tuple[Any, ...]
) -> None:
    u, v, classes, y = inputs
    losses = label_loss(u, v, classes, labels(y))
    contrast = 0.1 * partner_contrast(u, v, tau=1.0)
    values = [float(x + contrast) for x in (losses.mean(), paced(losses, 5.0), paced(losses, 3.0))]
    assert values == pytest.approx([warm, five, three], abs=1e-9)


def test_weights_of_items_are_those_of_the_authors_function(inputs: tuple[Any, ...]) -> None:
    weights = (1 - label_loss(*inputs) / 5).clamp_min(0)
    expected = [0.453176, 0.787038, 0.340637, 0.362139, 0.619853, 0.758588, 0.613301, 0.681427]
    assert weights.tolist() == pytest.approx(expected, abs=1e-6)


def test_losses_of_scbch_are_those_of_the_authors_functions(golden: Any, inputs: tuple[Any, ...]) -> None:
    u, v, _, y = inputs
    head = torch.tensor(0.1 * golden.normal(16, 5))
    losses = (
        pair_contrast(u, v, y, margin=0.2, shift=1.0),
        pair_contrast(u, v, y, margin=0.15, shift=0.8),
        quantisation(u, v),
        classification(u, v, y, torch.linspace(0.5, 1, 8, dtype=torch.float64), [head, head]),
    )
    expected = [2.8016752253, 2.6289491582, 1.5430941228, 0.5240616051]
    assert [float(loss) for loss in losses] == pytest.approx(expected, abs=1e-9)


def test_trust_is_that_of_the_authors_function(inputs: tuple[Any, ...]) -> None:
    u, v, _, y = (x.numpy() for x in inputs)
    expected = [0.753784, 0.790818, 0.5, 0.917347, 0.920846, 0.931161, 0.887066, 0.609516]
    assert trust(u, v, y, 3).tolist() == pytest.approx(expected, abs=1e-6)


def noisy(chunk: Chunk, share: float) -> Chunk:
    assert chunk.labels is not None
    rng, labels = np.random.default_rng(3), chunk.labels.copy()
    rows = rng.random(len(labels)) < share
    labels[rows] = np.eye(labels.shape[1], dtype=np.uint8)[rng.integers(labels.shape[1], size=rows.sum())]
    return dataclasses.replace(chunk, labels=labels)


def separation(method: RSHNL, fresh: Chunk) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same, agree = fresh.labels @ fresh.labels.T > 0, image @ text.T / method.bits
    return float(agree[same].mean() - agree[~same].mean())


@pytest.mark.parametrize("loss", ["rshnl", "scbch"])
def test_codes_separate_classes_though_half_of_the_labels_are_wrong(
    loss: Any, pairs: Callable[..., Chunk]
) -> None:
    method = RSHNL(bits=16, hidden=64, epochs=20, batch=100, loss=loss)
    for seed in (1, 2):
        method.fit_chunk(noisy(pairs(300, seed=seed), 0.5))
    assert separation(method, pairs(200, seed=3)) > 0.3


@pytest.mark.parametrize("loss", ["rshnl", "scbch"])
def test_pairs_without_labels_are_contrasted(loss: Any, pairs: Callable[..., Chunk]) -> None:
    method = RSHNL(bits=16, hidden=64, epochs=30, batch=100, loss=loss)
    method.fit_chunk(dataclasses.replace(pairs(300, seed=1), labels=None))
    fresh = pairs(200, seed=3)
    image, text = (method.encode(fresh.batch(m), m) for m in MODALITIES)
    assert (image == text).mean() > (image == np.roll(text, 1, axis=0)).mean() + 0.1


def test_only_the_first_epochs_of_the_stream_trust_all_labels_alike(
    pairs: Callable[..., Chunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.methods import rshnl

    used: list[int] = []
    method = RSHNL(bits=8, hidden=8, epochs=3, warmup=4, batch=100)
    real = rshnl.paced

    def spy(losses: Any, gamma: float) -> Any:
        used.append(method.epochs_)
        return real(losses, gamma)

    monkeypatch.setattr(rshnl, "paced", spy)
    for seed in (1, 2):
        method.fit_chunk(pairs(80, seed=seed))
    assert used == [4, 5]
