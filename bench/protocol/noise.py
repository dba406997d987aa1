"""Label noise: some training items get wrong labels, which methods see in place of the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contract.items import Labels, Rows
from bench.errors import DataError

_BLOCK = 4096  # items drawn at a time; a change would draw other labels


@dataclass(frozen=True, slots=True)
class Wrong:
    """Rows of the training split in ascending order (k,), and their wrong labels (k, classes)."""

    rows: Rows
    labels: Labels

    def put(self, labels: Labels, rows: Rows) -> None:
        """Overwrite the labels (n, classes) of these rows of the training split where they are wrong."""
        if len(self.rows):
            at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            hit = self.rows[at] == rows
            labels[hit] = self.labels[at[hit]]

    def share(self, labels: Labels, rows: Rows) -> float:
        """The effective rate: the share of these rows whose labels differ from the true ``labels``."""
        changed = (self.labels != (labels[self.rows] > 0)).any(axis=1)
        return float(np.isin(rows, self.rows[changed]).mean()) if len(rows) else 0.0


def draw(labels: Labels, noise: str, rng: np.random.Generator) -> Wrong:
    """Wrong labels for a share of the rows of ``labels`` (n, classes), by :data:`bench.protocol.axes.NOISES`.

    An item that is wrong at a smaller rate is wrong at every larger one, with the same labels. An item
    that has no label, or every label, stays as it is. Raises DataError where there is only one class.
    """
    kind, _, rate = noise.partition(":")
    n, classes = labels.shape
    if classes < 2:
        raise DataError(f"noise {noise} needs a dataset of two classes or more; this one has {classes}.")
    mistaken = rng.permutation(classes)  # class mistaken[i] is taken for class mistaken[i + 1]
    rows = rng.permutation(n)[: round(float(rate) * n)]
    wrong = np.empty((len(rows), classes), dtype=labels.dtype)
    for start in range(0, len(rows), _BLOCK):
        true = labels[rows[start : start + _BLOCK]] > 0
        if kind == "pair":
            made = np.empty_like(true)
            made[:, np.roll(mistaken, -1)] = true[:, mistaken]
        else:
            keys = rng.random((len(true), classes))
            made = _redrawn(true, keys) if kind == "sym" else _swapped(true, keys)
        wrong[start : start + _BLOCK] = made
    order = np.argsort(rows)
    return Wrong(rows[order], wrong[order])


def _redrawn(true: npt.NDArray[np.bool_], keys: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """As many labels as each item has: those with the smallest keys."""
    ranks = keys.argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < true.sum(axis=1, keepdims=True))


def _swapped(true: npt.NDArray[np.bool_], keys: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Without the true label, and with the false one, that have the largest keys."""
    made = true.copy()
    able = np.flatnonzero(true.any(axis=1) & ~true.all(axis=1))
    off, on = (np.where(side, keys, -1.0).argmax(axis=1)[able] for side in (true, ~true))
    made[able, off], made[able, on] = False, True
    return made
