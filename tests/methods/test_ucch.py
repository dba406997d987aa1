"""UCCH: its two losses against plain transcriptions, what it learns, what it keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import Chunk, Shared
from bench.methods import ucch
from bench.methods.ucch import UCCH, contrastive_loss, ranking_loss

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


@pytest.fixture
def items(label_stream: Callable[..., list[Chunk]]) -> Chunk:
    return label_stream(150)[0]


def fitted(items: Chunk, **settings: Any) -> UCCH:
    method = UCCH(**{"bits": 16, "hidden": 32, "epochs": 3, "batch": 50, "negatives": 64, **settings})
    method.fit_chunk(dataclasses.replace(items, labels=None, shared=Shared()))
    return method


def unit_rows(rng: np.random.Generator, n: int, k: int) -> Array:
    x = rng.standard_normal((n, k))
    rows: Array = x / np.linalg.norm(x, axis=1, keepdims=True)
    return rows


def test_contrast_with_the_memory_is_the_cross_entropy_of_ones_own_code() -> None:
    rng = np.random.default_rng(0)
    out, own, others = unit_rows(rng, 5, 8), np.sign(unit_rows(rng, 5, 8)), np.sign(unit_rows(rng, 11, 8))
    expected = []
    for i in range(5):
        positive = np.exp(out[i] @ own[i] / 0.7)
        total = positive + sum(np.exp(out[i] @ other / 0.7) for other in others)
        expected.append(-np.log(positive / total))
    found = contrastive_loss(torch.tensor(out), torch.tensor(own), torch.tensor(others), 0.7)
    assert float(found) == pytest.approx(np.mean(expected))


def test_contrast_within_a_batch_is_with_the_codes_of_its_other_items() -> None:
    rng = np.random.default_rng(0)
    out, own = unit_rows(rng, 5, 8), np.sign(unit_rows(rng, 5, 8))
    expected = [
        -np.log(np.exp(out[i] @ own[i] / 2) / sum(np.exp(out[i] @ code / 2) for code in own))
        for i in range(5)
    ]
    assert float(contrastive_loss(torch.tensor(out), torch.tensor(own), None, 2.0)) == pytest.approx(
        np.mean(expected)
    )


def test_ranking_loss_lowers_the_negatives_beyond_the_margin() -> None:
    rng = np.random.default_rng(2)
    image, text = unit_rows(rng, 6, 4), unit_rows(rng, 6, 4)
    margin, shift, total, lowered = 0.2, 0.5, 0.0, 0
    for query, other in ((image, text), (text, image)):
        for i in range(6):
            own, mass = query[i] @ other[i], 0.0
            for j in range(6):
                score = query[i] @ other[j]
                far = score < own - margin
                lowered += far
                mass += np.exp(score - shift if far else score)
            total += (np.log(mass) - own + margin) / 6
    assert 0 < lowered < 60  # some negatives are near, others are not
    found = ranking_loss(torch.tensor(image), torch.tensor(text), margin=margin, shift=shift)
    assert float(found) == pytest.approx(total)


def test_the_memory_turns_into_the_mean_of_both_modalities(
    items: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The codes contrasted with in the second pass are the signs of what the first pass put there."""
    written, compared = [], []
    real = ucch.contrastive_loss

    def spy(out: Any, own: Any, others: Any, temperature: float) -> Any:
        if others is None:
            written.append(out.detach())
        else:
            compared.append(own)
        return real(out, own, others, temperature)

    monkeypatch.setattr(ucch, "contrastive_loss", spy)
    fitted(items, epochs=2, batch=150)
    image, text = written
    assert compared[0].shape == (150, 16)
    codes = {tuple(row) for row in torch.where(image + text >= 0, 1.0, -1.0).tolist()}
    assert {tuple(row) for row in compared[0].tolist()} == codes


@pytest.mark.parametrize(("warmup", "passes"), [(1, 1), (3, 3), (9, 4)])
def test_the_memory_is_used_after_the_warmup(
    warmup: int, passes: int, items: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    within, real = [], ucch.contrastive_loss

    def spy(out: Any, own: Any, others: Any, temperature: float) -> Any:
        within.append(others is None)
        return real(out, own, others, temperature)

    monkeypatch.setattr(ucch, "contrastive_loss", spy)
    fitted(items, epochs=4, batch=len(items), warmup=warmup)
    assert within == [True] * (2 * passes) + [False] * (2 * (4 - passes))  # image and text in every pass


def test_pairs_teach_codes_that_retrieve_across_modalities(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(UCCH(bits=32, hidden=128)) > 0.55  # chance is 0.4
