"""What a teacher that is trained again after every chunk keeps: the CLIP features and labels of a sample.

Our reconstruction (docs/lcdh.md). The trap: a new training gives codes in coordinates of its own, so that
each teacher is turned to agree with the first one on the pool items that the history began with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.api import State
from bench.methods._online import Array
from bench.methods.lcdh.linear import procrustes
from bench.methods.lcdh.teacher import Seen, Teacher


class Past(State):
    """A uniform sample of all items seen so far, and the anchors with the first teacher's signals.

    ``keys`` (n,) are random numbers, one an item: the sample is the items with the smallest of them.
    """

    anchors: dict[str, npt.NDArray[Any] | None]
    signals: Array
    items: dict[str, npt.NDArray[Any] | None]
    labels: Array
    keys: Array

    @classmethod
    def begin(cls, anchors: Seen, teacher: Teacher) -> Self:
        """Nothing seen yet; ``teacher`` is the first one."""
        return cls(_plain(anchors), teacher.signal(anchors), {}, np.empty((0, 0)), np.empty(0))

    def take_in(self, seen: Seen, labels: Array, *, most: int, rng: np.random.Generator) -> None:
        """Add the items of a chunk, with unit label rows (n, c); of all of them at most ``most`` stay."""
        new = _plain(seen)
        keys = rng.random(len(seen))
        if len(self.keys):
            new = {name: _join(self.items[name], x, len(self.keys), len(seen)) for name, x in new.items()}
            labels, keys = np.concatenate([self.labels, labels]), np.concatenate([self.keys, keys])
        kept = np.sort(np.argsort(keys)[:most])  # in order of arrival
        self.items = {name: None if x is None else x[kept] for name, x in new.items()}
        self.labels, self.keys = labels[kept], keys[kept]

    def sample(self) -> Seen:
        """The items that a teacher is trained on now."""
        return _seen(self.items)

    def aligned(self, teacher: Teacher) -> Teacher:
        """The same teacher, turned to the first one's signals of the anchors."""
        turn = procrustes(teacher.signal(_seen(self.anchors)), self.signals)
        return replace(teacher, turn=turn)


def _plain(seen: Seen) -> dict[str, npt.NDArray[Any] | None]:
    return {"image": seen.image, "text": seen.text, "present": seen.present}


def _seen(items: dict[str, npt.NDArray[Any] | None]) -> Seen:
    image, text = items["image"], items["text"]
    assert image is not None and text is not None
    return Seen(image, text, items["present"])


def _join(
    old: npt.NDArray[Any] | None, new: npt.NDArray[Any] | None, n_old: int, n_new: int
) -> npt.NDArray[Any] | None:
    """Rows of both; where only one side says what is present, the other's items have both modalities."""
    if old is None and new is None:
        return None
    parts = [np.ones((n, 2), bool) if x is None else x for x, n in ((old, n_old), (new, n_new))]
    return np.concatenate(parts)
