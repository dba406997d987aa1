"""DCMH: its slope against the loss written out, what it keeps in memory, what it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.methods.dcmh import DCMH, slope_of_loss

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def pairs(n: int = 120, seed: int = 0) -> Chunk:
    rng, maps = np.random.default_rng(seed), np.random.default_rng(99)
    labels = (rng.random((n, 5)) < 0.3).astype(np.uint8)
    labels[~labels.any(axis=1), 0] = 1
    image, text = (
        Batch((labels @ maps.standard_normal((5, d)) + 0.4 * rng.standard_normal((n, d))).astype(np.float32))
        for d in (12, 9)
    )
    return Chunk(round=0, image=image, text=text, labels=labels, ids=np.arange(n))


def fitted(items: Chunk, **settings: Any) -> DCMH:
    method = DCMH(**{"bits": 16, "hidden": 32, "batch": 64, "epochs": 3, **settings})
    method.fit_chunk(items)
    return method


def encoded(method: DCMH, items: Chunk) -> Array:
    """Image codes above text codes."""
    return np.concatenate([method.encode(items.batch(m), m) for m in MODALITIES])


def test_slope_is_the_derivative_of_the_loss_written_out() -> None:
    rng = torch.Generator().manual_seed(0)
    f, g = (torch.randn(11, 8, generator=rng, dtype=torch.float64) for _ in range(2))
    similar = torch.rand(11, 11, generator=rng) < 0.5
    codes = torch.where(f + g >= 0, 1.0, -1.0)
    rows = np.array([7, 2, 5])
    free = f[rows].requires_grad_()
    every = torch.cat([free, f[np.setdiff1d(np.arange(11), rows)]])
    theta = free @ g.T / 2
    likelihood = (torch.nn.functional.softplus(theta) - similar[rows] * theta).sum()
    loss = likelihood + 0.7 * (codes[rows] - free).square().sum() + 0.3 * every.sum(dim=0).square().sum()
    loss.backward()
    found = slope_of_loss(f, g, rows, similar[rows], codes, gamma=0.7, balance=0.3)
    torch.testing.assert_close(found, free.grad)


def test_slope_stays_finite_where_the_exponential_would_overflow() -> None:
    big = 40 * torch.ones(1, 128)
    slope = slope_of_loss(big, big, np.array([0]), torch.tensor([[False]]), big, gamma=1, balance=1)
    assert slope.isfinite().all()


def test_nothing_of_size_n_by_n_is_ever_made(largest_tensor: Callable[..., int]) -> None:
    assert largest_tensor(lambda: fitted(pairs(1000), epochs=1, batch=50)) == 50 * 1000


def test_labels_teach_codes_that_retrieve_and_shuffled_ones_do_not(
    synthetic_map: Callable[..., float],
) -> None:
    settings: dict[str, Any] = {"bits": 16, "hidden": 128, "epochs": 10}
    assert synthetic_map(DCMH(**settings)) > 0.6  # chance is 0.4
    assert synthetic_map(DCMH(**settings), shuffled=True) < 0.5


def test_items_without_labels_are_left_out() -> None:
    items = pairs()
    assert items.labels is not None
    told = np.arange(len(items)) % 2 == 0
    some = dataclasses.replace(items, labels=items.labels * told[:, None].astype(np.uint8))
    half = items.take(np.flatnonzero(told))
    alone = Chunk(round=0, image=half.image, text=half.text, labels=half.labels, ids=half.ids)
    assert (encoded(fitted(some), items) == encoded(fitted(alone), items)).all()


def test_the_quantisation_term_brings_outputs_near_to_signs() -> None:
    items = pairs(200)
    far, near = (
        float(np.abs(1 - np.abs(outputs(fitted(items, gamma=g, epochs=30), items))).mean())
        for g in (0.0, 200.0)
    )
    assert near < far


def outputs(method: DCMH, items: Chunk) -> Array:
    w1, b1, w2, b2 = method.weights_["image"]
    x = (items.image.features - method.mean_["image"]) / method.scale_["image"]
    result: Array = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    return result
