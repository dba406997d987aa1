"""Steps that online matrix factorisations share: centring, joined sums, small penalised solves."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from bench.api import MODALITIES, Chunk, Modality
from bench.methods._online import Array, RunningGram, RunningMean, dot

PerModality = dict[Modality, Array]


def centre(chunk: Chunk, means: dict[Modality, RunningMean]) -> PerModality:
    """Features of the chunk, (n, d) float64 each, less the mean of all rows so far, which ``means`` take in.

    What older rounds summed up stays centred with the mean of its own time.
    """
    found = {}
    for m in MODALITIES:
        compute = partial(_centred, means[m], chunk.batch(m).features)
        means[m], found[m] = chunk.shared.once(("centred", m), compute)
    return found


def _centred(mean: RunningMean, x: npt.NDArray[Any]) -> tuple[RunningMean, Array]:
    # In column order, as BLAS wants it: dot() would otherwise copy the rows at every product.
    return mean, np.asfortranarray(x - mean.add(x), dtype=np.float64)


def joined(one: RunningGram, other: RunningGram) -> RunningGram:
    """The Gram matrix of the rows of both; neither is changed."""
    if one.gram is None or other.gram is None:
        return other if one.gram is None else one
    return RunningGram(n=one.n + other.n, gram=one.gram + other.gram)


def solve_right(right: Array, gram: Array, penalty: float) -> Array:
    """``right (gram + penalty·I)⁻¹`` for ``right`` (k, r) and a small symmetric ``gram`` (r, r) >= 0.

    A penalty below the rounding error of ``gram`` is raised to it: fewer items than bits, or latent
    vectors that are all zero, would otherwise make the factorisation fail.
    """
    rounding = len(gram) * np.finfo(np.float64).eps * float(gram.diagonal().max())
    shifted = gram + max(penalty, rounding, np.finfo(np.float64).tiny) * np.eye(len(gram))
    factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
    solved: Array = cho_solve(factor, right.T, check_finite=False).T
    return solved


def carry_over(new: PerModality, old: PerModality, weights: dict[Modality, float], penalty: float) -> Array:
    """The (r, r) matrix by which old latent rows are multiplied once the basis has changed.

    A row v stood for the features ``weights[m]·v U_mᵀ`` by the ``old`` bases U_m (d, r), stacked over
    the modalities; ``v @ carry_over`` stands for nearly the same by the ``new`` ones, in the sense of
    a ridge regression with ``penalty``. This re-hashes old items without their features.
    """
    cross = sum(weights[m] ** 2 * dot(old[m].T, new[m]) for m in new)
    gram = sum(weights[m] ** 2 * dot(new[m].T, new[m]) for m in new)
    return solve_right(np.asarray(cross), np.asarray(gram), penalty)


def residual(square: float, cross: Array, basis: Array, gram: Array) -> float:
    """``‖X - V basisᵀ‖`` from ``square`` = ‖X‖², ``cross`` = XᵀV and ``gram`` = VᵀV, without X and V."""
    squared = float(square - 2 * np.vdot(cross, basis) + np.vdot(dot(basis.T, basis), gram))
    return float(np.sqrt(max(squared, 0.0)))  # a perfect fit may come out below 0 by rounding
