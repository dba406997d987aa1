"""Extraction: what cutting texts and computing in bf16 are worth, on towers of random weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Setting
from bench.encoders import clip

N = 16


@pytest.fixture(scope="module")
def model() -> Any:
    """The towers of ViT-B-32: 77 tokens of width 512, and 224 × 224 pixels."""
    import open_clip
    import torch

    torch.manual_seed(0)
    return open_clip.create_model("ViT-B-32").eval().requires_grad_(False)


def test_texts_cut_to_the_longest_of_the_batch_are_3_times_faster(race: Any, timed: Any, model: Any) -> None:
    """Captions of 8 to 13 words, as COCO has; the features are the same."""
    import open_clip
    import torch

    rng = np.random.default_rng(0)
    words = ["man", "dog", "street", "a", "red", "on", "table", "the", "two", "riding"]
    captions = [" ".join(rng.choice(words, rng.integers(8, 14))) for _ in range(N)]
    tokens = open_clip.get_tokenizer("ViT-B-32")(captions)

    def whole() -> Any:
        with torch.inference_mode():
            return model.encode_text(tokens, normalize=True).numpy()

    cut = clip._Texts(model, "cpu")
    np.testing.assert_allclose(cut(list(tokens)), whole(), atol=1e-5)
    ratios = race(lambda: cut(list(tokens)), {"77 tokens": timed(whole)})
    assert ratios["77 tokens"] >= 3


def test_bf16_pictures_are_twice_as_fast_where_the_cpu_has_it(race: Any, timed: Any, model: Any) -> None:
    """On one thread, as cells run: memory, which all threads share, limits bf16 before fp32."""
    import torch

    from bench import threads

    if not Setting(root=Path()).half():
        pytest.skip("this CPU has no bf16 arithmetic")
    pictures = list(torch.randn(2 * N, 3, 224, 224))
    full = clip._Pictures(model, "cpu")
    half = clip._Pictures(copy.deepcopy(model).bfloat16(), "cpu")
    assert (full(pictures) * half(pictures)).sum(axis=1).min() >= 0.999
    with threads.limit(1):
        ratios = race(lambda: half(pictures), {"fp32": timed(lambda: full(pictures))})
    assert ratios["fp32"] >= 2
