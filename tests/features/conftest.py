"""A small CLIP of random weights as a local checkpoint, and raw datasets that need no files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from bench.api import Card, Raw, param
from bench.datasets._raw import RawSource

WORDS = ("red", "green", "blue", "cat", "dog", "car", "tree", "house")


def write_clip(folder: Path, **text: Any) -> Path:
    """An open_clip checkpoint: pictures 32 × 32, 2 layers, 32 dimensions; ``text`` changes the text tower."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
    tower = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2} | text
    own = tower.pop("custom_text", False)
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": tower, "custom_text": own}
    torch.manual_seed(0)
    model_class = open_clip.CustomTextCLIP if own else open_clip.CLIP
    model = model_class(**{k: v for k, v in config.items() if k != "custom_text"})
    folder.mkdir(parents=True)
    described = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "small")


def picture(number: int) -> Image.Image:
    """A picture of its own for every number, 40 × 30."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((40, 30))


class Toy(RawSource):
    """``n`` items; captions of two to twelve words; the last ``queries`` are the queries."""

    n: int = param(60, "items", least=1)
    queries: int = param(10, "of them", least=1)
    image: str = param("colour", "view of the pictures that is their features")
    text: str = param("bow:1", "view of the texts that is their features")
    clip: str | None = param(None, "no CLIP unless asked for")
    card: ClassVar[Card] = Card(
        name="toy", title="Toy", sources=("https://example.org",), licence="none", citation="nobody, 2026"
    )
    show: ClassVar[Callable[[int], Image.Image]] = picture

    def raw(self, root: Path) -> Raw:
        rng = np.random.default_rng(0)
        ids = 100 + np.arange(self.n)
        words = [rng.integers(len(WORDS), size=rng.integers(2, 13)) for _ in ids]
        labels = np.array([[w in found for w in range(4)] for found in words], np.uint8)
        labels[~labels.any(axis=1), 0] = 1
        return Raw(
            ids=ids,
            image=_Shown(ids, type(self).show),
            texts=[f"{' '.join(WORDS[w] for w in found)} number{i}" for i, found in enumerate(words)],
            labels=labels,
            classes=WORDS[:4],
            train=np.arange(self.n - self.queries),
            query=np.arange(self.n - self.queries, self.n),
            notes=("made by the test",),
        )


class _Shown:
    """Picklable, as loaders' processes need it."""

    def __init__(self, ids: np.ndarray[Any, Any], show: Callable[[int], Image.Image]) -> None:
        self.ids, self.show = ids, show

    def __call__(self, row: int) -> Image.Image:
        return self.show(int(self.ids[row]))
