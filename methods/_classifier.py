"""Linear classifiers of both modalities over chunks, by least squares: what supervision alone gives."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor

from bench.api import MODALITIES, Chunk, Codes, Labels, Modality, State, sign
from bench.methods._online import Array, Factor, RunningGram, blocks, dot

_RESOLUTION = 1e-13  # of a float32 feature: a variance below this share of the squared mean is rounding


class Classifier(State):
    """Scores of the classes, ``x w + b``: w (d, c) and b (c,) float64; all 0 before any label is seen."""

    w: Array
    b: Array

    def __call__(self, x: npt.NDArray[Any]) -> Array:
        """(n, c) float64 scores of the rows of ``x`` (n, d): least-squares estimates of the probabilities."""
        return np.concatenate([np.zeros((0, len(self.b))), *(dot(r, self.w) + self.b for (r,) in blocks(x))])


class LabelRegression(State):
    """Ridge regression of labels on standardised features: the same however rows are cut into chunks.

    Only sums are kept, of features less the mean of the first rows, so that the squares of large
    means do not swallow the variances. Unlabelled rows are left out: they say nothing of any class.
    """

    gram: RunningGram = field(default_factory=RunningGram)  # of [x - origin, 1]
    origin: Array | None = None  # (d,)
    cross: Array | float = 0.0  # the sum of [x - origin, 1]ᵀ labels, (d + 1, c)

    def add(self, x: npt.NDArray[np.float32], labels: Labels) -> Self:
        """Take in the rows of ``x`` (n, d) and ``labels`` (n, c)."""
        told = labels.any(axis=1)
        if not told.any():
            self.cross = self.cross + np.zeros((x.shape[1] + 1, labels.shape[1]))
            return self
        if self.origin is None:
            self.origin = x[told].mean(axis=0, dtype=np.float64)
        for rows, targets in blocks(x[told], labels[told]):
            centred = np.column_stack([rows - self.origin, np.ones(len(rows))])
            self.gram.add(centred)
            self.cross = self.cross + dot(centred.T, targets)
        return self

    @property
    def frequency(self) -> Array:
        """(c,) share of the labelled rows that have each label."""
        return np.asarray(self.cross)[-1] / max(self.gram.n, 1)

    def solve(self, ridge: float) -> Classifier:
        """The w and b that minimise ``‖labels - x w - b‖²/n + ridge·‖D w‖²``, D the deviations of x."""
        cross = np.asarray(self.cross)
        if self.origin is None or self.gram.gram is None:
            return Classifier(np.zeros((len(cross) - 1, cross.shape[1])), np.zeros(cross.shape[1]))
        n, frequency = self.gram.n, self.frequency
        mean = self.gram.gram[-1, :-1] / n
        covariance = self.gram.gram[:-1, :-1] / n - np.outer(mean, mean)
        variance = np.diag(covariance)
        alive = variance > _RESOLUTION * np.square(self.origin + mean)
        scale = np.where(alive, 1 / np.sqrt(np.where(alive, variance, 1.0)), 0.0)
        correlation = scale[:, None] * covariance * scale + ridge * np.eye(len(scale))
        factor = Factor(cho_factor(correlation, lower=True, overwrite_a=True, check_finite=False))
        shared = scale[:, None] * (cross[:-1] / n - np.outer(mean, frequency))
        w = scale[:, None] * factor.solve(shared)
        return Classifier(w, frequency - (self.origin + mean) @ w)


def taught(
    regressions: dict[Modality, LabelRegression], chunk: Chunk, *, ridge: float
) -> dict[Modality, Classifier]:
    """The classifiers after ``chunk``, which ``regressions`` take in; code lengths share all of it."""
    assert chunk.labels is not None, "a supervised method is given labels"
    learned = {}
    for m in MODALITIES:
        add = partial(regressions[m].add, chunk.batch(m).features, chunk.labels)
        regressions[m] = chunk.shared.once(("labels", m), add)
        learned[m] = chunk.shared.once(("classifier", m, ridge), partial(regressions[m].solve, ridge))
    return learned


def class_codes(classes: int, bits: int, rng: np.random.Generator) -> Array:
    """One ±1 code (classes, bits) per class, any two about bits/2 apart: part of a Hadamard matrix.

    Exactly bits/2 where bits is a power of two and at least the number of classes. Which rows and
    columns are taken is random, but the columns that tell all rows apart always come first.
    """
    order = 1 << (max(classes, bits) - 1).bit_length()
    powers = 1 << np.arange(order.bit_length() - 1)  # row i is told by these columns: the bits of i
    others = rng.permutation(np.setdiff1d(np.arange(order), powers))
    columns = np.concatenate([powers, others])[:bits]
    rows = rng.permutation(order)[:classes]
    return 1.0 - 2.0 * (np.bitwise_count(rows[:, None] & columns) % 2)


def label_codes(labels: npt.NDArray[Any], classes: Array, tie: Array) -> Codes:
    """The code (n, bits) of each label set (n, c): the majority of its class codes (c, bits).

    ``tie`` (bits,), smaller than 1, decides where as many classes say -1 as +1.
    """
    return sign(dot(labels, classes) + tie)
