"""CASH: its coarse loss against a golden value, prompts of chunks, and what its outputs depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk
from bench.methods.cash import CASH, Model, coarse_error

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def test_the_coarse_loss_is_that_of_the_specification(golden: Any) -> None:
    labels = np.array([[float(bit) for bit in row] for row in LABELS.split()])
    like = labels / np.linalg.norm(labels, axis=1, keepdims=True)
    loss = coarse_error(
        torch.tensor(golden.normal(8, 16)),
        torch.tensor(golden.normal(16, 8).T),
        torch.tensor(like @ like.T),
    )
    assert float(loss) == pytest.approx(2.3875082907, abs=1e-8)  # in single precision there


LABELS = "10000 01011 00001 10000 10100 01110 01100 00110"


def task(n: int, number: int, seed: int = 0) -> Chunk:
    """CLIP-like pairs of three classes that no other chunk has."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    points, offsets = world.standard_normal((6, 24)), 0.5 * world.standard_normal((2, 24))
    own = 3 * number + rng.integers(3, size=n)
    image, text = (
        Batch((points[own] + offset + 0.3 * rng.standard_normal((n, 24))).astype(np.float32))
        for offset in offsets
    )
    labels = np.eye(6, dtype=np.uint8)[own]
    return Chunk(round=number, image=image, text=text, labels=labels, ids=np.arange(n))


def fitted(tasks: int = 2, **settings: Any) -> CASH:
    method = CASH(**{"bits": 16, "hidden": 32, "epochs": 10, **settings})
    for number in range(tasks):
        method.fit_chunk(task(200, number))
    return method


def separation(method: CASH, number: int) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    fresh = task(100, number, seed=9)
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same, agree = fresh.labels @ fresh.labels.T > 0, image @ text.T / method.bits
    return float(agree[same].mean() - agree[~same].mean())


def test_images_and_texts_of_one_class_get_like_codes_in_both_chunks() -> None:
    method = fitted()
    assert separation(method, 0) > 0.3
    assert separation(method, 1) > 0.3


def test_without_similarities_by_labels_much_less_is_learned() -> None:
    settings: dict[str, Any] = {"fine": 0.0, "exclude": 0.0, "coarse": 0.0}
    assert separation(fitted(1, **settings), 0) < separation(fitted(1), 0) - 0.1


def test_codes_of_a_chunk_are_by_its_own_prompt() -> None:
    """A query may be given another prompt; the items of the last chunk have that of the last."""
    method, chunk = fitted(), task(200, 1)
    learned = method.encode_database(chunk, "image")
    method.tasks_ = [method.tasks_[1]]
    np.testing.assert_array_equal(learned, method.encode(chunk.image, "image"))


def test_every_chunk_adds_a_prompt_and_leaves_earlier_ones_alone() -> None:
    method = fitted(1)
    before = {name: array.copy() for name, array in method.tasks_[0].items()}
    method.fit_chunk(task(200, 1))
    assert len(method.tasks_) == 2
    for name, array in before.items():
        np.testing.assert_array_equal(method.tasks_[0][name], array)


def test_negatives_make_a_discriminator_reject_the_chunk_before() -> None:
    known = {}
    for negatives in (False, True):
        method = fitted(negatives=negatives, epochs=60, rate=0.1)
        model = Model(method._place(), method.nets_, method.attention_, method.tasks_[1])
        x = method._tensor(task(100, 0, seed=9).image.features, "image")
        known[negatives] = float(model.known(x).detach().mean())
    assert known[True] < known[False] - 0.1


def test_attention_gives_an_item_the_same_whatever_its_batch() -> None:
    method = fitted(1)
    model = Model(method._place(), method.nets_, method.attention_, method.tasks_[0])
    x = method._tensor(task(20, 0).text.features, "text")
    together = model.attended(x)
    alone = torch.cat([model.attended(x[i : i + 1]) for i in range(20)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
