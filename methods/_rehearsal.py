"""Online training of hash networks: they go on with every chunk, beside a sample of earlier items.

The trap: similarities within a chunk do not say which of all equivalent codes to choose, so that chunks
may not agree with each other. What is remembered keeps its codes, and new codes have to fit them.
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
    "Our online extension of {0}, which see: the teacher is trained once, on the pool; the student goes on "
    "from its weights at every chunk, with a memory of earlier items whose codes stand."
)


class Memory(State):
    """At most ``most`` items, each a row of every array in ``rows``: a uniform sample of all items seen.

    Every item draws a random key when it is added, and those with the smallest keys are kept.
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
        """The remembered rows above the ``new`` ones."""
        return {name: np.concatenate([self.rows[name], x]) if len(self) else x for name, x in new.items()}

    def add(self, new: Rows, rng: np.random.Generator) -> None:
        """Take in new items: arrays of the same names with a row for each."""
        count = len(next(iter(new.values())))
        keys = np.concatenate([self.keys, rng.random(count)])
        kept = np.sort(np.argsort(keys, kind="stable")[: self.most])
        self.rows = {name: np.ascontiguousarray(x[kept]) for name, x in self.before(new).items()}
        self.keys = keys[kept]


class Round(NamedTuple):
    """What a chunk is trained with: remembered items first, then its own."""

    items: dict[str, npt.NDArray[Any]]
    x: dict[Any, Any]  # the networks' inputs (tensors) by modality
    nets: dict[Any, Any]  # going on from where they were
    given: Any | None  # codes (f, bits) of the first f items


class Rehearsing(HashNetworks):
    """Mixed into an offline method of hash networks, makes it an online one with a frozen teacher.

    The subclass trains the teacher in ``fit_pool``, which leaves ``mean_`` and ``scale_``.
    """

    memory: int = param(1000, "earlier items to train on with every chunk; 0: none", least=0)

    def _begin(self, first: Split) -> None:
        """Without a pool the first chunk is one."""
        if not hasattr(self, "memory_"):
            self.memory_ = Memory.empty(self.memory)
        if not hasattr(self, "teacher_"):
            self.fit_pool(first)

    def _round(self, new: Rows) -> Round:
        """``new`` has the features of the chunk by modality, and what else the memory keeps of an item."""
        place, items = self._place(), self.memory_.before(new)
        x = {m: place.tensor((items[m] - self.mean_[m]) / self.scale_[m]) for m in MODALITIES}
        nets = self._networks_of(self.weights_) if hasattr(self, "weights_") else self._networks(x)
        given = place.tensor(self.memory_.rows["codes"]) if len(self.memory_) else None
        return Round(items, x, nets, given)


def features_of(chunk: Chunk) -> dict[str, npt.NDArray[Any]]:
    """The plain features by modality."""
    return {m: np.asarray(chunk.batch(m).features) for m in MODALITIES}
