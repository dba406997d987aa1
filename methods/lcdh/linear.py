"""Building blocks of teacher and student: PCA, ITQ, normalised rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from bench.methods._linear import itq
from bench.methods._online import Array


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


def unit_rows(x: npt.NDArray[Any]) -> Array:
    """Divide rows by their L2 norm, in float64; zero rows stay zero."""
    norm = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    return x / np.where(norm > 0, norm, 1.0)[:, None]
