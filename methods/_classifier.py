"""Least-squares linear classifiers, updated chunk by chunk: the baseline that uses supervision alone."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor

from bench.api import MODALITIES, Chunk, Codes, Labels, Modality, Split, State, sign
from bench.methods._online import Array, Factor, RunningGram, blocks, dot

_RESOLUTION = 1e-13  # a float32 feature whose variance is below this share of its squared mean is constant
_ROUNDING = 1e-11  # and one of which subtraction has left less than this share, rounding is all that is left


class Classifier(State):
    """Class scores ``x w + b``: w (d, c) and b (c,) float64, all 0 until the first label arrives."""

    w: Array
    b: Array

    def __call__(self, x: npt.NDArray[Any]) -> Array:
        """Score the rows of ``x`` (n, d): (n, c) float64 least-squares estimates of class probabilities."""
        return np.concatenate([np.zeros((0, len(self.b))), *(dot(r, self.w) + self.b for (r,) in blocks(x))])


class LabelRegression(State):
    """Ridge regression of labels on standardised features; the split into chunks does not matter.

    It keeps sums only, over features minus the mean of the first rows: otherwise the squares of large
    means would drown the variances. Unlabelled rows are skipped: they carry no information on any class.
    """

    gram: RunningGram = field(default_factory=RunningGram)  # of [x - origin, 1]
    origin: Array | None = None  # (d,)
    cross: Array | float = 0.0  # the sum of [x - origin, 1]ᵀ labels, (d + 1, c)
    highest: Array | float = 0.0  # the sums of squares (d + 1,) before rows were removed

    def add(self, x: npt.NDArray[np.float32], labels: Labels) -> Self:
        """Add the rows of ``x`` (n, d) with their ``labels`` (n, c)."""
        labelled = labels.any(axis=1)
        if not labelled.any():
            self.cross = self.cross + np.zeros((x.shape[1] + 1, labels.shape[1]))
            return self
        if self.origin is None:
            self.origin = x[labelled].mean(axis=0, dtype=np.float64)
        for rows, targets in blocks(x[labelled], labels[labelled]):
            centred = np.column_stack([rows - self.origin, np.ones(len(rows))])
            self.gram.add(centred)
            self.cross = self.cross + dot(centred.T, targets)
        return self

    def remove(self, x: npt.NDArray[np.float32], labels: Labels) -> Self:
        """Subtract the rows of ``x`` (n, d), which were added with these ``labels`` (n, c)."""
        labelled = labels.any(axis=1)
        if self.origin is None or self.gram.gram is None:  # no row that was added had a label
            return self
        self.highest = np.maximum(self.highest, np.diag(self.gram.gram))
        for rows, targets in blocks(x[labelled], labels[labelled]):
            centred = np.column_stack([rows - self.origin, np.ones(len(rows))])
            self.gram.remove(centred)
            self.cross = self.cross - dot(centred.T, targets)
        return self

    @property
    def frequency(self) -> Array:
        """Share of the labelled rows that have each label, (c,)."""
        return np.asarray(self.cross)[-1] / max(self.gram.n, 1)

    def solve(self, ridge: float) -> Classifier:
        """Find w and b that minimise ``‖labels - x w - b‖²/n + ridge·‖D w‖²``, D = diag(std of x)."""
        cross = np.asarray(self.cross)
        if self.origin is None or self.gram.gram is None or not self.gram.n:
            return Classifier(np.zeros((len(cross) - 1, cross.shape[1])), np.zeros(cross.shape[1]))
        n, frequency = self.gram.n, self.frequency
        mean = self.gram.gram[-1, :-1] / n
        covariance = self.gram.gram[:-1, :-1] / n - np.outer(mean, mean)
        variance = np.diag(covariance)
        alive = variance > _RESOLUTION * np.square(self.origin + mean)
        alive &= n * variance > _ROUNDING * np.broadcast_to(self.highest, len(alive) + 1)[:-1]
        scale = np.where(alive, 1 / np.sqrt(np.where(alive, variance, 1.0)), 0.0)
        correlation = scale[:, None] * covariance * scale + ridge * np.eye(len(scale))
        factor = Factor(cho_factor(correlation, lower=True, overwrite_a=True, check_finite=False))
        shared = scale[:, None] * (cross[:-1] / n - np.outer(mean, frequency))
        w = scale[:, None] * factor.solve(shared)
        return Classifier(w, frequency - (self.origin + mean) @ w)


def taught(
    regressions: dict[Modality, LabelRegression], chunk: Chunk, *, ridge: float
) -> dict[Modality, Classifier]:
    """Add ``chunk`` to the regressions and return the classifiers; computed once for all code lengths."""
    assert chunk.labels is not None, "supervised methods always receive labels"
    learned = {}
    for m in MODALITIES:
        add = partial(regressions[m].add, chunk.batch(m).features, chunk.labels)
        regressions[m] = chunk.shared.once(("labels", m), add)
        learned[m] = chunk.shared.once(("classifier", m, ridge), partial(regressions[m].solve, ridge))
    return learned


def untaught(
    regressions: dict[Modality, LabelRegression], items: Split, *, ridge: float
) -> dict[Modality, Classifier]:
    """The same for ``items`` that are subtracted from the regressions."""
    assert items.labels is not None, "supervised methods always receive labels"
    learned = {}
    for m in MODALITIES:
        remove = partial(regressions[m].remove, items.batch(m).features, items.labels)
        regressions[m] = items.shared.once(("labels left", m), remove)
        learned[m] = items.shared.once(("classifier left", m, ridge), partial(regressions[m].solve, ridge))
    return learned


def class_codes(classes: int, bits: int, rng: np.random.Generator) -> Array:
    """Draw one ±1 code per class, (classes, bits), any two about bits/2 apart, from a Hadamard matrix.

    The distance is exactly bits/2 if bits is a power of two and at least the number of classes. Rows and
    columns are chosen at random, except that the columns that make all rows distinct come first.
    """
    order = 1 << (max(classes, bits) - 1).bit_length()
    powers = 1 << np.arange(order.bit_length() - 1)  # in these columns row i spells the number i in binary
    others = rng.permutation(np.setdiff1d(np.arange(order), powers))
    columns = np.concatenate([powers, others])[:bits]
    rows = rng.permutation(order)[:classes]
    return 1.0 - 2.0 * (np.bitwise_count(rows[:, None] & columns) % 2)


def label_codes(labels: npt.NDArray[Any], classes: Array, tie: Array) -> Codes:
    """Encode each label set (n, c) as the majority of its class codes (c, bits): (n, bits).

    ``tie`` (bits,), with entries below 1 in magnitude, breaks ties.
    """
    return sign(dot(labels, classes) + tie)
