"""State of a teacher that is retrained on every chunk: CLIP features and labels of a sample so far.

Our reconstruction (docs/lcdh.md). The trap: every training ends in different coordinates. Each new teacher
is therefore rotated to agree with the first one on the pool items that started the history.
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
    """A uniform sample of all items so far, and the anchors with the first teacher's signals.

    ``keys`` (n,) holds one random number per item; the sample is the items with the smallest keys.
    """

    anchors: dict[str, npt.NDArray[Any] | None]
    signals: Array
    items: dict[str, npt.NDArray[Any] | None]
    labels: Array
    keys: Array

    @classmethod
    def begin(cls, anchors: Seen, teacher: Teacher) -> Self:
        """Start with an empty sample; ``teacher`` is the first one."""
        return cls(_plain(anchors), teacher.signal(anchors), {}, np.empty((0, 0)), np.empty(0))

    def take_in(self, seen: Seen, labels: Array, *, most: int, rng: np.random.Generator) -> None:
        """Add the items of a chunk, with unit label rows (n, c), and keep at most ``most`` of all items."""
        new = _plain(seen)
        keys = rng.random(len(seen))
        if len(self.keys):
            new = {name: _join(self.items[name], x, len(self.keys), len(seen)) for name, x in new.items()}
            labels, keys = np.concatenate([self.labels, labels]), np.concatenate([self.keys, keys])
        kept = np.sort(np.argsort(keys)[:most])  # in order of arrival
        self.items = {name: None if x is None else x[kept] for name, x in new.items()}
        self.labels, self.keys = labels[kept], keys[kept]

    def sample(self) -> Seen:
        """Return the items for the next training."""
        return _seen(self.items)

    def aligned(self, teacher: Teacher) -> Teacher:
        """Return the teacher, rotated to match the first one's signals for the anchors."""
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
    """Stack the rows of both; if only one has a presence mask, the other's items have both modalities."""
    if old is None and new is None:
        return None
    parts = [np.ones((n, 2), bool) if x is None else x for x, n in ((old, n_old), (new, n_new))]
    return np.concatenate(parts)
