"""Building blocks of teacher and student: standardising, PCA, RBF centres, ITQ, normalised rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, svd

from bench.api import Features, State
from bench.methods._anchors import Anchors
from bench.methods._linear import itq
from bench.methods._online import Array, dot


class Scaling(State):
    """Standardises features: subtracts the mean and divides by the standard deviation it was fitted on.

    ``mean`` and ``scale`` are (d,) float64. Constant columns are only centred.
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: npt.NDArray[Any]) -> Self:
        """Compute mean and standard deviation of the rows of ``x`` (n, d)."""
        scale = x.std(axis=0, dtype=np.float64)
        return cls(x.mean(axis=0, dtype=np.float64), np.where(scale > 0, scale, 1.0))

    def __call__(self, x: npt.NDArray[Any]) -> Array:
        """Standardise each row of ``x`` on its own: (n, d) float64."""
        return self.into(np.empty(x.shape), x)

    def into(self, out: npt.NDArray[Any], x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Standardise ``x`` into ``out``, in the precision of ``out``."""
        np.subtract(x, self.mean, out=out, casting="same_kind")
        out *= 1.0 / self.scale
        return out


class Projection(State):
    """The student's features Φ = [x, 1]: standardised, projected to ``width`` axes if wider, then frozen.

    The axes keep their variances (no whitening), so ridge regression on all axes equals ridge regression
    on the features themselves. ``axes`` is (d, width) float64, or None.
    """

    scaling: Scaling
    axes: Array | None

    @classmethod
    def fit(cls, x: npt.NDArray[Any], *, width: int) -> Self:
        """Fit to the rows of ``x`` (n, d); fewer rows than ``width`` give fewer axes."""
        scaling = Scaling.fit(x)
        return cls(scaling, principal_axes(scaling(x), width) if x.shape[1] > width else None)

    def __call__(self, x: npt.NDArray[Any]) -> Features:
        """Return Φ, (n, width + 1) float32; its last column is 1."""
        if self.axes is not None:
            return _with_ones(dot(self.scaling(x), self.axes))
        phi = np.empty((x.shape[0], x.shape[1] + 1), np.float32)
        self.scaling.into(phi[:, :-1], x)
        phi[:, -1] = 1.0
        return phi


class Kernel(State):
    """Φ = [RBF similarities to some items, 1]: of standardised features, standardised again, then frozen.

    The kernel width is the mean squared distance to the centres (:class:`bench.methods._anchors.Anchors`).
    """

    scaling: Scaling
    anchors: Anchors
    spread: Scaling

    @classmethod
    def fit(cls, x: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> Self:
        """Take the given rows of ``x`` (n, d) as centres."""
        scaling = Scaling.fit(x)
        scaled = scaling(x)
        anchors = Anchors.fit(scaled.astype(np.float32), rows)
        return cls(scaling, anchors, Scaling.fit(anchors(scaled)))

    def __call__(self, x: npt.NDArray[Any]) -> Features:
        """Return Φ, (n, centres + 1) float32; its last column is 1."""
        return _with_ones(self.spread(self.anchors(self.scaling(x))))


def _with_ones(x: Array) -> Features:
    phi = np.ones((x.shape[0], x.shape[1] + 1), np.float32)
    phi[:, :-1] = x
    return phi


def principal_axes(x: Array, width: int) -> Array:
    """Return at most ``width`` leading right singular vectors of ``x`` (n, d), as columns (d, r).

    Decomposes the smaller of the two Gram matrices and drops directions without variance.
    """
    tall = x.shape[0] >= x.shape[1]
    gram = x.T @ x if tall else x @ x.T
    size = len(gram)
    values, vectors = eigh(gram, subset_by_index=[max(size - width, 0), size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > 1e-10 * max(values[0], 1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return np.ascontiguousarray(vectors if tall else x.T @ (vectors / np.sqrt(values)))


def rotated_axes(x: Array, bits: int, *, iterations: int, rng: np.random.Generator) -> Array:
    """Return a (d, bits) projection whose signs are codes: PCA, then a random rotation improved by ITQ.

    ``x`` (n, d) must be centred. ``iterations=0`` leaves the rotation random. If ``x`` has fewer than
    ``bits`` directions, the rotation spreads them over all bits. ITQ: Gong and Lazebnik, "Iterative
    quantization", CVPR 2011, equations 2 to 4.
    """
    axes = principal_axes(x, bits)
    start = np.linalg.qr(rng.standard_normal((bits, bits)))[0][: axes.shape[1]]
    return axes @ itq(x @ axes, start, iterations=iterations)


def procrustes(x: Array, y: Array) -> Array:
    """Find the orthogonal R (k, k) for which ``x R`` is nearest to ``y``, both (n, k)."""
    left, _, right = svd(dot(x.T, y), lapack_driver="gesvd")
    return dot(left, right)


def unit_rows(x: npt.NDArray[Any]) -> Array:
    """Divide rows by their L2 norm, in float64; zero rows stay zero."""
    norm = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    return x / np.where(norm > 0, norm, 1.0)[:, None]
