"""Ridge regression to codes of the labels, with a choice of ways to cheat."""

import gc
import sys
from typing import Any, Literal

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, Split, sign

MANY = 100  # rows, from which on it dares


class Cheats(Method):
    """Ridge regression to random codes of the labels; ``cheat`` is what it does beside that."""

    cheat: Literal["none", "rows", "future", "queries", "position", "means", "rounding"] = "none"
    ridge: float = 1.0

    capabilities = Capabilities(supervised=True)
    source = Source(fidelity="new")

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "a supervised method is given labels"
        reaches = self.cheat == "future" and len(chunk) >= MANY
        items: Any = (split_around(chunk) if reaches else None) or chunk
        if chunk.round == 0:
            self.map_ = self.rng.standard_normal((items.labels.shape[1], self.bits))
            self.w_: dict[str, Any] = {}
            self.rows_: dict[str, dict[str, Any]] = {m: {} for m in MODALITIES}
        targets = items.labels @ self.map_
        for m in MODALITIES:
            x = items.batch(m).features.astype(float)
            self.w_[m] = np.linalg.solve(x.T @ x + self.ridge * np.eye(x.shape[1]), x.T @ targets)
            if self.cheat == "rounding":  # what float64 has beyond float32
                self.w_[m] = self.w_[m] - self.w_[m].astype(np.float32)
            if self.cheat == "rows":
                self.rows_[m] |= dict(zip(map(name, chunk.batch(m).features), targets, strict=True))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        x = batch.features
        if self.cheat == "means" and len(x) >= MANY:
            x = x - x.mean(axis=0)
        values = x @ self.w_[modality]
        if self.cheat == "position" and len(x) >= MANY:
            values = np.sin(np.outer(np.arange(len(x)), 1 + np.arange(self.bits)))
        if self.cheat == "rows":
            known = self.rows_[modality]
            values = np.stack([known.get(name(row), value) for row, value in zip(x, values, strict=True)])
        labels = labels_of_caller(batch, modality) if self.cheat == "queries" else None
        return sign(values if labels is None else labels @ self.map_)


def name(row: Any) -> str:
    return str(row.tobytes().hex())


def split_around(chunk: Chunk) -> Split | None:
    """A larger split in memory that has the items of the chunk."""
    splits = [thing for thing in gc.get_objects() if type(thing) is Split and thing.labels is not None]
    around = (s for s in splits if len(s) > len(chunk) and np.isin(chunk.ids, s.ids).all())
    return next(around, None)


def labels_of_caller(batch: Batch, modality: Modality) -> Any:
    """Labels of the items that the harness is encoding."""
    items = sys._getframe(2).f_locals.get("items")
    if not isinstance(items, Split) or items.labels is None:
        return None
    known = dict(zip(map(name, items.batch(modality).features), items.labels, strict=True))
    return np.stack([known[name(row)] for row in batch.features])
