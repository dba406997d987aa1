"""Pictures and captions made on the spot: a raw dataset that needs no files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.api import Card, Raw, RawSource, param

WORDS = ("red", "green", "blue", "cat", "dog", "car", "tree", "house")


def picture(number: int) -> Any:
    """A picture of its own for every number, 40 × 30."""
    from PIL import Image

    coarse = np.random.default_rng(number).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((40, 30))


class Toy(RawSource):
    """``n`` items; captions of three to thirteen words; the last ``queries`` are the queries."""

    n: int = param(60, "items", least=1)
    queries: int = param(10, "of them", least=1)
    image: str = param("colour", "view of the pictures that is their features")
    text: str = param("bow:1", "view of the texts that is their features")
    clip: str | None = param(None, "no CLIP unless asked for")
    schedule: ClassVar[str] = "shuffled:20"
    card: ClassVar[Card] = Card(
        name="toy", title="Toy", sources=("https://example.org",), licence="none", citation="nobody, 2026"
    )
    show: ClassVar[Callable[[int], Any]] = staticmethod(picture)

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

    def __init__(self, ids: np.ndarray[Any, Any], show: Callable[[int], Any]) -> None:
        self.ids, self.show = ids, show

    def __call__(self, row: int) -> Any:
        return self.show(int(self.ids[row]))
