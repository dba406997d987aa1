"""Online training of hash networks: each chunk is learned together with a sample of earlier items.

The trap: similarities within a chunk fix its codes only up to permuting and flipping bits, so chunks need
not agree. Remembered items keep their codes, and new codes must fit them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Chunk, Split, State, Variant, param
from bench.methods._hash_network import HashNetworks

Rows = Mapping[str, npt.NDArray[Any]]

WITHOUT = {"no-memory": Variant(isolates="earlier items and their codes", params={"memory": 0})}
NOTE = (
    "Our online extension; see {0} for the method. The teacher is trained once, on the pool. The student "
    "continues from its weights on every chunk, with a memory of earlier items whose codes never change."
)


class Memory(State):
    """A uniform sample of at most ``most`` of all items so far; an item is one row of each array in ``rows``.

    Every item draws a random key on arrival; the items with the smallest keys stay.
    """

    most: int
    keys: npt.NDArray[np.float64]  # (m,)
    rows: dict[str, npt.NDArray[Any]]

    @classmethod
    def empty(cls, most: int) -> Self:
        return cls(most, np.empty(0), {})

    def __len__(self) -> int:
        return len(self.keys)

    def before(self, new: Rows) -> dict[str, npt.NDArray[Any]]:
        """Stack the remembered rows on top of the ``new`` ones."""
        return {name: np.concatenate([self.rows[name], x]) if len(self) else x for name, x in new.items()}

    def add(self, new: Rows, rng: np.random.Generator) -> None:
        """Add new items: arrays with the same names, one row per item."""
        count = len(next(iter(new.values())))
        keys = np.concatenate([self.keys, rng.random(count)])
        kept = np.sort(np.argsort(keys, kind="stable")[: self.most])
        self.rows = {name: np.ascontiguousarray(x[kept]) for name, x in self.before(new).items()}
        self.keys = keys[kept]


class Round(NamedTuple):
    """Training data of one round: remembered items first, then those of the chunk."""

    items: dict[str, npt.NDArray[Any]]
    x: dict[Any, Any]  # network inputs (tensors) by modality
    nets: dict[Any, Any]  # networks, with the weights of the round before
    given: Any | None  # fixed codes (f, bits) of the first f items


class Rehearsing(HashNetworks):
    """Mixin that turns an offline method with hash networks into an online one with a frozen teacher.

    The subclass trains the teacher in ``fit_pool``, which also sets ``mean_`` and ``scale_``.
    """

    memory: int = param(1000, "earlier items that every chunk is trained with; 0: none", least=0)

    def _begin(self, first: Split) -> None:
        """Start an empty memory; without a pool, train the teacher on the first chunk."""
        if not hasattr(self, "memory_"):
            self.memory_ = Memory.empty(self.memory)
        if not hasattr(self, "teacher_"):
            self.fit_pool(first)

    def _round(self, new: Rows) -> Round:
        """Join ``new`` (the chunk's features and whatever else the memory keeps per item) and the memory."""
        place, items = self._place(), self.memory_.before(new)
        x = {m: place.tensor((items[m] - self.mean_[m]) / self.scale_[m]) for m in MODALITIES}
        nets = self._networks_of(self.weights_) if hasattr(self, "weights_") else self._networks(x)
        given = place.tensor(self.memory_.rows["codes"]) if len(self.memory_) else None
        return Round(items, x, nets, given)


def features_of(chunk: Chunk) -> dict[str, npt.NDArray[Any]]:
    """Return the plain features by modality."""
    return {m: np.asarray(chunk.batch(m).features) for m in MODALITIES}
