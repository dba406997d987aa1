"""CASH: its similarity loss against a golden value, prompts, frozen codes, codes of items on their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.errors import DataError
from bench.methods.cash import CASH, attend, similarity_loss

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
QUICK: dict[str, Any] = {"bits": 16, "hidden": 32, "epochs": 40, "batch": 50}


def test_the_similarity_loss_is_that_of_the_specification(golden: Any) -> None:
    h, buffer = torch.tensor(golden.normal(8, 16)), torch.tensor(golden.normal(16, 8).T.copy())
    labels = golden.labels / np.linalg.norm(golden.labels, axis=1, keepdims=True)
    cosines = torch.tensor(labels @ labels.T)
    assert float(similarity_loss(h, buffer, cosines)) == pytest.approx(2.3875082907, abs=1e-8)


def test_attention_is_that_of_torch() -> None:
    rng = np.random.default_rng(0)
    d, x, prompt = 16, torch.tensor(rng.standard_normal((5, 16))), torch.tensor(rng.standard_normal((10, 16)))
    layer = torch.nn.MultiheadAttention(d, 8, batch_first=True, dtype=torch.float64)
    parts = zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True)
    weights = [array for w, b in parts for array in (w.T, b)]
    weights += [layer.out_proj.weight.T, layer.out_proj.bias]
    keys = prompt.expand(5, -1, -1)
    expected = layer(x[:, None], keys, keys)[0][:, 0]
    torch.testing.assert_close(attend(x, prompt, weights, 8), expected)


def clip(chunk: Chunk) -> Chunk:
    """The chunk as a method sees it that hashes the view clip."""
    return dataclasses.replace(chunk, image=chunk.image.seen_as("clip"), text=chunk.text.seen_as("clip"))


def fitted(pairs: Callable[..., Chunk], count: int, **settings: Any) -> CASH:
    method = CASH(**{**QUICK, **settings})
    for seed in range(1, count + 1):
        method.fit_chunk(clip(pairs(200, seed=seed)))
    return method


def separation(image: Array, text: Array, labels: Array) -> float:
    """How much oftener bits of an image and a text agree within a class than across."""
    same, agree = labels @ labels.T > 0, image.astype(float) @ text.T / image.shape[1]
    return float(agree[same].mean() - agree[~same].mean())


def test_codes_separate_classes_over_chunks(pairs: Callable[..., Chunk]) -> None:
    method, fresh = fitted(pairs, 2), clip(pairs(200, seed=9))
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m) for m in MODALITIES)
    assert separation(image, text, fresh.labels) > 0.3


def test_every_chunk_adds_a_prompt_and_a_discriminator(pairs: Callable[..., Chunk]) -> None:
    method = fitted(pairs, 3, epochs=1)
    assert [prompt.shape for prompt in method.prompts_] == [(10, 10)] * 3 and len(method.claims_) == 3


def test_a_code_does_not_depend_on_the_other_items_of_a_batch(pairs: Callable[..., Chunk]) -> None:
    method, fresh = fitted(pairs, 2, epochs=2), clip(pairs(40, seed=9))
    together = method.encode(fresh.text, "text")
    alone = [method.encode(fresh.text.take(slice(i, i + 1)), "text") for i in range(40)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_later_chunks_leave_old_prompts_as_they_are(pairs: Callable[..., Chunk]) -> None:
    method = fitted(pairs, 1, epochs=2)
    first = method.prompts_[0].copy()
    method.fit_chunk(clip(pairs(100, seed=5)))
    np.testing.assert_array_equal(method.prompts_[0], first)


def test_views_of_different_widths_are_refused(pairs: Callable[..., Chunk]) -> None:
    with pytest.raises(DataError, match="12 columns for images and 9 for texts"):
        CASH(**QUICK).fit_chunk(pairs(20))
