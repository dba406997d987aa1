"""Consecutive items of one part: draws all scenes at once, pictures and captions one by one on request."""

from __future__ import annotations

from dataclasses import dataclass

from bench.api import Labels
from bench.datasets.scenes import world
from bench.datasets.scenes.captions import caption
from bench.datasets.scenes.paint import Pixels, paint


@dataclass(frozen=True, slots=True)
class Items:
    """Items ``start``, ``start + 1``, … of a part; an item does not depend on the others."""

    seed: int
    part: int
    start: int
    scenes: world.Scenes

    @classmethod
    def of(cls, seed: int, part: int, n: int, start: int = 0) -> Items:
        return cls(seed, part, start, world.draw(seed, part, n, start))

    def __len__(self) -> int:
        return len(self.scenes)

    def picture(self, row: int, size: int) -> Pixels:
        """(size, size, 3) uint8."""
        rng = world.generator(self.seed, self.part, world.PIXELS, self.start + row)
        return paint(self.scenes, row, size, rng)

    def caption(self, row: int) -> str:
        rng = world.generator(self.seed, self.part, world.WORDS, self.start + row)
        return caption(self.scenes, row, rng)

    def labels(self) -> Labels:
        """(n, classes) of 0 and 1; the columns are ``world.CLASSES``."""
        return world.labels(self.scenes)
