"""Pictures of simple scenes with captions, painted by our own code: raw data without a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.api import Card, Dataset, Raw, RawSource, Rows, param
from bench.datasets.scenes import shipped, world
from bench.datasets.scenes.items import Items
from bench.datasets.scenes.paint import paint

if TYPE_CHECKING:
    from PIL.Image import Image

CLIP = Path(__file__).parent / "clip"


class Scenes(RawSource):
    """Scenes of one to four things, of twelve kinds and eight colours, in six places or on plain paper.

    Labels are the kinds of the things and the place. A caption names part of the scene in varied words.
    Item i of a split is the same at any ``n`` and ``queries``. The view ``clip`` is a small CLIP trained on
    other scenes (``clip/`` beside this file, `python -m bench.datasets.scenes.train_clip`). Without options,
    views that were extracted beforehand are read (`python -m bench.datasets.scenes.extract`).
    """

    n: int = param(2600, "number of training pairs, which become the database", least=1)
    queries: int = param(400, "number of query pairs", least=1)
    size: int = param(64, "width and height of the pictures, in pixels", least=32, most=512)
    seed: int = param(0, "random seed of all items", least=0)
    image: str = param("colour", "view to use as image features")
    clip: str | None = param(
        "small", "CLIP to use as view clip: small (shipped), MODEL:WEIGHTS, FOLDER, or none"
    )
    schedule: ClassVar[str] = "shuffled:400"
    checkpoints: ClassVar[Mapping[str, Path]] = {"small": CLIP}
    card: ClassVar[Card] = Card(
        name="scenes",
        title="Scenes: painted pictures with captions",
        sources=(),
        licence="generated; no restriction",
        citation="none; name hashbench and its version",
    )

    def raw(self, root: Path) -> Raw:
        """All items, whatever ``root`` is; a picture is painted when it is read."""
        train, query = (
            Items.of(self.seed, part, n) for part, n in ((world.TRAIN, self.n), (world.QUERY, self.queries))
        )
        rows = np.arange(self.n + self.queries)
        return Raw(
            ids=rows,
            image=Pictures.of(train, query, size=self.size),
            texts=[items.caption(row) for items in (train, query) for row in range(len(items))],
            labels=np.concatenate([train.labels(), query.labels()]),
            classes=world.CLASSES,
            train=rows[: self.n],
            query=rows[self.n :],
        )

    def files(self, root: Path) -> list[Path]:
        """The shipped views, or the code of views and local checkpoints: these distinguish two versions."""
        return [shipped.VIEWS, shipped.ORIGIN] if self._is_default() else self.view_sources(root)

    def load(self, root: Path) -> Dataset:
        """Read the shipped views; under other options paint pictures, write captions and extract theirs."""
        raw = self.raw(root)
        views = shipped.read() if self._is_default() else None
        return self.extract(raw, root) if views is None else self._dataset(views, raw, self.n)

    def _is_default(self) -> bool:
        return self.selector() == self.card.name


@dataclass(frozen=True, slots=True)
class Pictures:
    """Paints the picture of a row, as :class:`bench.api.Raw` expects it."""

    seed: int
    size: int
    scenes: world.Scenes
    part: Rows  # (n,)
    number: Rows  # (n,): of the item in its part

    @classmethod
    def of(cls, *parts: Items, size: int) -> Pictures:
        """The pictures of consecutive items of each part, one part after another."""
        scenes = world.join(*(items.scenes for items in parts))
        part = np.concatenate([np.full(len(items), items.part) for items in parts])
        number = np.concatenate([items.start + np.arange(len(items)) for items in parts])
        return cls(parts[0].seed, size, scenes, part, number)

    def __call__(self, row: int) -> Image:
        from PIL import Image

        rng = world.generator(self.seed, int(self.part[row]), world.PIXELS, int(self.number[row]))
        return Image.fromarray(paint(self.scenes, row, self.size, rng))

    def take(self, rows: Rows) -> Pictures:
        """The pictures of these rows, renumbered from 0."""
        return Pictures(self.seed, self.size, self.scenes.take(rows), self.part[rows], self.number[rows])
