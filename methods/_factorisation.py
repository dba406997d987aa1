"""Steps shared by online matrix factorisations: centring, adding sums, small ridge solves."""

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
    """Add the chunk to ``means`` and subtract them from its features: (n, d) float64 per modality.

    Sums of older rounds are not re-centred: they keep the means of their own rounds.
    """
    centred = {}
    for m in MODALITIES:
        compute = partial(_centred, means[m], chunk.batch(m).features)
        means[m], centred[m] = chunk.shared.once(("centred", m), compute)
    return centred


def _centred(mean: RunningMean, x: npt.NDArray[Any]) -> tuple[RunningMean, Array]:
    # In column order, as BLAS wants it: otherwise dot() would copy the rows in every product.
    return mean, np.asfortranarray(x - mean.add(x), dtype=np.float64)


def joined(one: RunningGram, other: RunningGram) -> RunningGram:
    """Add two Gram matrices; neither is changed."""
    if one.gram is None or other.gram is None:
        return other if one.gram is None else one
    return RunningGram(n=one.n + other.n, gram=one.gram + other.gram)


def solve_right(right: Array, gram: Array, penalty: float) -> Array:
    """Return ``right (gram + penalty·I)⁻¹`` for ``right`` (k, r) and positive semidefinite ``gram`` (r, r).

    A penalty below the rounding error of ``gram`` is raised to it: otherwise the factorisation would fail
    with fewer items than bits, or with latent vectors that are all zero.
    """
    rounding = len(gram) * np.finfo(np.float64).eps * float(gram.diagonal().max())
    shifted = gram + max(penalty, rounding, np.finfo(np.float64).tiny) * np.eye(len(gram))
    factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
    solved: Array = cho_solve(factor, right.T, check_finite=False).T
    return solved


def carry_over(new: PerModality, old: PerModality, weights: dict[Modality, float], penalty: float) -> Array:
    """Return the (r, r) matrix that carries old latent rows over to new bases.

    With the ``old`` bases U_m (d, r), a row v represents the features ``weights[m]·v U_mᵀ``, stacked over
    the modalities. With the ``new`` ones, ``v @ carry_over`` represents them as closely as a ridge
    regression with ``penalty`` allows. This re-hashes old items without their features.
    """
    cross = sum(weights[m] ** 2 * dot(old[m].T, new[m]) for m in new)
    gram = sum(weights[m] ** 2 * dot(new[m].T, new[m]) for m in new)
    return solve_right(np.asarray(cross), np.asarray(gram), penalty)


def residual(square: float, cross: Array, basis: Array, gram: Array) -> float:
    """Return ``‖X - V basisᵀ‖`` from ``square`` = ‖X‖², ``cross`` = XᵀV and ``gram`` = VᵀV alone."""
    squared = float(square - 2 * np.vdot(cross, basis) + np.vdot(dot(basis.T, basis), gram))
    return float(np.sqrt(max(squared, 0.0)))  # rounding can push a perfect fit below 0
