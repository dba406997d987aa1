"""Shared linear algebra: correlations between modalities, whitening, rotations, principal directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, qr, svd

from bench.api import MODALITIES, Modality
from bench.methods._online import Array, RunningGram, blocks, dot

Pair = dict[Modality, Array]
_RANK = 1e-10  # eigenvalues below this share of the largest count as zero


def inverse_deviation(x: npt.NDArray[np.float32], mean: Array) -> Array:
    """Return 1 / standard deviation of each column of ``x`` (n, d), and 0 for constant columns."""
    squares = sum(np.square(rows - mean).sum(axis=0) for (rows,) in blocks(x))
    deviation = np.sqrt(squares / len(x))
    return np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1.0), 0.0)


def correlations(x: dict[Modality, npt.NDArray[np.float32]], mean: Pair, scale: Pair) -> tuple[Pair, Array]:
    """Return the correlations within each modality (lower triangles) and between image and text."""
    grams = {m: RunningGram() for m in MODALITIES}
    cross: Array | float = 0.0
    for rows in blocks(x["image"], x["text"]):
        z = {m: (v - mean[m]) * scale[m] for m, v in zip(MODALITIES, rows, strict=True)}
        for m in MODALITIES:
            grams[m].add(z[m])
        cross = cross + dot(z["image"].T, z["text"])
    return {m: np.asarray(g.gram) / g.n for m, g in grams.items()}, np.asarray(cross) / len(x["image"])


def whitening(gram: Array, ridge: float) -> Array:
    """Return the (d, d) map to uncorrelated directions; directions without variance give zero columns.

    Only the lower triangle of ``gram`` (d, d) is read. ``ridge`` is added to the nonzero variances.
    """
    values, vectors = eigh(gram, lower=True)
    alive = values > _RANK * max(values[-1], 0.0)
    return vectors * np.where(alive, 1 / np.sqrt(np.where(alive, values + ridge, 1.0)), 0.0)


def frame(k: int, bits: int, rng: np.random.Generator) -> Array:
    """Draw a random (k, bits) matrix with orthonormal rows, k <= bits: it preserves inner products."""
    columns, _ = qr(rng.standard_normal((bits, k)), mode="economic")
    return np.ascontiguousarray(columns.T)


def itq(projected: Array, start: Array, *, iterations: int) -> Array:
    """Find the rotation (k, bits) that minimises the quantisation error of ``projected`` (n, k), k <= bits.

    Alternates between codes and rotation, from ``start`` (k, bits): Gong and Lazebnik, "Iterative
    quantization", CVPR 2011, equations 2 to 4. With k < bits the rotation has orthonormal rows only.
    """
    rotation = start
    for _ in range(iterations):
        codes = np.where(dot(projected, rotation) >= 0, 1.0, -1.0)
        left, _, right = svd(dot(projected.T, codes), full_matrices=False, lapack_driver="gesvd")
        rotation = dot(left, right)
    return rotation


def unit_rows(x: npt.NDArray[np.floating[Any]]) -> Array:
    """Scale the rows of ``x`` (n, d) to length 1, in float64; zero rows stay zero."""
    wide = np.asarray(x, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: Array = wide / np.where(norms > 0, norms, 1.0)
    return scaled


def leading(gram: Array, count: int) -> Array:
    """Return the eigenvectors (d, k) of the ``count`` largest eigenvalues (or of all), largest first."""
    last = len(gram) - 1
    vectors = eigh(gram, subset_by_index=(max(last + 1 - count, 0), last))[1]
    return np.ascontiguousarray(vectors[:, ::-1])


def spread(k: int, bits: int, rng: np.random.Generator) -> Array:
    """Draw a random (k, bits) matrix with orthonormal columns or, if k < bits, orthonormal rows."""
    return frame(k, bits, rng) if k <= bits else frame(bits, k, rng).T
