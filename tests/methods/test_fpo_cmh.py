"""FPO-CMH: its losses against golden values, anchors, lone modalities, the pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Modality
from bench.checks.trial import only, without
from bench.methods.fpo_cmh import FPOCMH, softmax, towards

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def cosines(a: Array, b: Array) -> Array:
    scaled = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    left, right = scaled
    return np.asarray(left @ right.T)


def test_losses_are_those_of_the_specification(golden: Any) -> None:
    x, h = golden.normal(1, 32), torch.tensor(np.tanh(golden.normal(1, 16)))
    losses = []
    for rows in (6, 7):
        bank = golden.normal(rows, 32)[:6]
        hashed = torch.tensor(np.tanh(golden.normal(rows, 16))[:6])
        losses.append(float(towards(h, hashed, torch.tensor(softmax(100 * cosines(x, bank))))))
    assert losses == pytest.approx([2.1636733065, 1.9599257767], abs=1e-9)


def stream(n: int, seed: int = 0, classes: int = 6) -> Chunk:
    """CLIP-like features: a point per class, and an offset of each modality."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    points, offsets = world.standard_normal((classes, 24)), 0.5 * world.standard_normal((2, 24))
    own = rng.integers(classes, size=n)
    image, text = (
        Batch((points[own] + offset + 0.3 * rng.standard_normal((n, 24))).astype(np.float32))
        for offset in offsets
    )
    labels = np.eye(classes, dtype=np.uint8)[own]
    return Chunk(round=0, image=image, text=text, labels=labels, ids=np.arange(n))


def lone(chunk: Chunk) -> Chunk:
    """Every item has one modality."""
    half = np.arange(len(chunk)) % 2 == 0
    return without(chunk, image=half, text=~half)


def fitted(*chunks: Chunk, **settings: Any) -> FPOCMH:
    method = FPOCMH(**{"bits": 16, "hidden": 32, "vocabulary": 6, "pool_epochs": 10, **settings})
    method.fit_pool(stream(200))
    for chunk in chunks:
        method.fit_chunk(chunk)
    return method


def separation(method: FPOCMH, fresh: Chunk) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same, agree = fresh.labels @ fresh.labels.T > 0, image @ text.T / method.bits
    return float(agree[same].mean() - agree[~same].mean())


def test_lone_images_and_texts_tie_the_modalities_together() -> None:
    """Without the offline training on pairs, only anchors do."""
    settings: dict[str, Any] = {"pool_epochs": 0, "rate": 0.02}
    untrained = fitted(**settings)
    method = fitted(*(lone(stream(400, seed=s)) for s in range(1, 5)), **settings)
    assert separation(method, stream(200, seed=9)) > separation(untrained, stream(200, seed=9)) + 0.1


def normalised(chunk: Chunk) -> Chunk:
    """The same items in the way of CLIP: rows of length 1."""
    image, text = (
        Batch(b.features / np.linalg.norm(b.features, axis=1, keepdims=True))
        for b in map(chunk.batch, MODALITIES)
    )
    return dataclasses.replace(chunk, image=image, text=text)


@pytest.mark.parametrize("order", [("image", "text"), ("text", "image")])
def test_modalities_that_come_in_turn_tie_together_without_any_pair(order: tuple[Modality, Modality]) -> None:
    method = FPOCMH(bits=16, hidden=32, vocabulary=6, rate=0.1)
    for m in order:
        for seed in range(4):
            method.fit_chunk(only(normalised(stream(400, seed=seed)), m))
    assert separation(method, normalised(stream(200, seed=9))) > 0.25
    assert "saw no pair" in method.notes()[0]


def test_an_item_moves_the_anchor_of_its_category_half_of_the_way() -> None:
    method = fitted()
    x = stream(1, seed=3).image.features
    found = method._categories(x)
    [category] = np.flatnonzero(found[0])
    before = method.anchors_["image"].copy()
    method._move("image", x, found)
    np.testing.assert_allclose(method.anchors_["image"][category], (x[0] + before[category]) / 2)
    others = np.arange(len(before)) != category
    assert (method.anchors_["image"][others] == before[others]).all()


def test_category_0_is_updated_like_any_other() -> None:
    method = fitted()
    found = np.zeros((1, 6), bool)
    found[0, 0] = True
    before = method.anchors_["text"][0].copy()
    method._move("text", stream(1).text.features, found)
    assert (method.anchors_["text"][0] != before).all()


def test_without_a_pool_the_first_chunk_serves(codes_of: Callable[..., Array]) -> None:
    method = FPOCMH(bits=16, hidden=32, vocabulary=6, pool_epochs=10)
    assert codes_of(method, [stream(200), stream(100, seed=1)]).shape == (300, 16)
    assert separation(method, stream(200, seed=9)) > 0.2


def test_the_state_does_not_grow() -> None:
    from bench.contract.state import nbytes

    sizes = [
        nbytes({k: v for k, v in fitted(*chunks).state_dict().items() if k != "rng"})
        for chunks in ((stream(100, seed=1),), (stream(100, seed=1), stream(300, seed=2)))
    ]
    assert sizes[0] == sizes[1]
