"""RBF features: similarities to anchors, for methods that hash these instead of raw features.

The trap: anchors, width and mean come from the first chunk and never change, because later items had not
arrived yet. The authors of these methods take them from the whole training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Chunk, Modality, State
from bench.methods._online import Array, blocks, dot


class Anchors(State):
    """Map x (n, d) to ``exp(-‖x - a_j‖² / 2σ) - mean_j``, (n, k) float64, for k anchors a_j.

    σ is the mean squared distance between the first chunk and the anchors; ``mean`` (k,) is the mean
    feature of the first chunk. Without ``points`` the map only centres x: k = d.
    """

    name: str  # identifies the map among those of one stream
    points: Array | None  # (k, d)
    sigma: float
    mean: Array

    @classmethod
    def fit(cls, x: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> Anchors:
        """Take the given rows of the first chunk ``x`` (n, d) as anchors; without rows, only centre."""
        name = rows.astype("<u4").tobytes().hex()
        if not len(rows):
            return cls(name, None, 1.0, x.mean(axis=0, dtype=np.float64))
        points = x[rows].astype(np.float64)
        sigma = sum(float(_distances(part, points).sum()) for (part,) in blocks(x)) / (len(x) * len(rows))
        free = cls(name, points, sigma or 1.0, np.zeros(len(rows)))
        free.mean = sum(free(part).sum(axis=0) for (part,) in blocks(x)) / len(x)
        return free

    def __call__(self, x: npt.NDArray[Any]) -> Array:
        """Return the RBF features (n, k) of x (n, d)."""
        if self.points is None:
            return x - self.mean
        features = _distances(x, self.points)
        features *= -0.5 / self.sigma
        np.exp(features, out=features)
        features -= self.mean
        return features

    def outputs(self, x: npt.NDArray[Any], w: Array) -> Array:
        """Return ``features · w``, (n, r), for x (n, d) and w (k, r)."""
        parts = [dot(self(part), w) for (part,) in blocks(x)]
        return np.concatenate(parts) if parts else np.empty((0, w.shape[1]))


def _distances(x: npt.NDArray[Any], points: Array) -> Array:
    """Squared Euclidean distances (n, k) from x (n, d) to points (k, d)."""
    wide = np.asarray(x, dtype=np.float64)
    squares = dot(wide, points.T)
    squares *= -2
    squares += np.einsum("ij,ij->i", wide, wide)[:, None]
    squares += np.einsum("ij,ij->i", points, points)
    return np.maximum(squares, 0, out=squares)


def fit_anchors(chunk: Chunk, count: int, rng: np.random.Generator) -> dict[Modality, Anchors]:
    """Fit one map per modality, with ``count`` random pairs of the first chunk (or all of them) as anchors.

    Code lengths that run together share the anchors, provided this is each method's first random draw.
    """
    rows = rng.permutation(len(chunk))[:count]
    drawn = rows.tobytes()
    return {
        m: chunk.shared.once(("anchors", m, drawn), partial(Anchors.fit, chunk.batch(m).features, rows))
        for m in MODALITIES
    }


def too_few(maps: Mapping[Modality, Anchors], count: int) -> list[str]:
    """A note where the first chunk was smaller than the ``count`` of anchors asked for."""
    sizes = [len(fitted.points) for fitted in maps.values() if fitted.points is not None]
    if not sizes or sizes[0] == count:
        return []
    return [f"anchors={count} cannot be reached: all {sizes[0]} items of the first chunk are anchors"]


def anchor_features(chunk: Chunk, maps: Mapping[Modality, Anchors]) -> dict[Modality, Array]:
    """Return the RBF features of both modalities of a chunk, (n, k) each."""
    return {
        m: chunk.shared.once(("features", m, maps[m].name), partial(maps[m], chunk.batch(m).features))
        for m in MODALITIES
    }
