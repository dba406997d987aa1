"""Steps shared by discrete online methods: label similarity, balanced codes, rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, qr, svd

from bench.api import param, sign
from bench.methods._online import Array, dot

# Parameters of methods that use balanced_orthogonal() or leading_directions(), and the preset with the
# authors' values of the first two.
TOLERANCE: Any = param(
    1e-12, "a direction is dead if its eigenvalue is below this share of the largest", least=0
)
ABSOLUTE: Any = param(False, "compare eigenvalues with the tolerance itself, as the authors' code does")
SIGNS: Any = param(
    "fixed", "sign of a principal direction: fixed by its largest entry, or drawn for every chunk"
)
AS_AUTHORS: Mapping[str, Mapping[str, Any]] = {"authors": {"tolerance": 1e-6, "absolute": True}}


def normalise_labels(labels: npt.NDArray[Any]) -> Array:
    """Scale label rows (n, c) to length 1: G, whose ``GGᵀ`` is their cosine similarity.

    Unlabelled rows stay zero.
    """
    wide = np.asarray(labels, dtype=np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-7)


def signs(x: npt.NDArray[Any]) -> Array:
    """:func:`bench.api.sign` in float64, for codes that enter matrix products."""
    return sign(x).astype(np.float64)


def balanced_orthogonal(
    z: Array, rng: np.random.Generator, *, tolerance: float = 1e-12, absolute: bool = False
) -> Array:
    """Find the V (n, r) with ``VᵀV = nI`` and ``Vᵀ1 = 0`` that maximises ``tr(VᵀZ)``, for z (n, r).

    Directions of z whose eigenvalue is at most ``tolerance`` times the largest one (with ``absolute``:
    at most ``tolerance``) are dead. Random directions, orthogonal to 1 and to the live ones, replace them.
    At most n - 1 such columns exist: if n <= r the remaining directions are zero, and VᵀV falls short of nI.
    """
    n, r = z.shape
    centred = z - z.mean(axis=0)
    values, vectors = eigh(dot(centred.T, centred))
    alive = values > (tolerance if absolute else tolerance * max(values[-1], 0.0))
    live = int(alive.sum())
    filled = max(min(r, n - 1) - live, 0)
    basis = dot(centred, vectors[:, alive] / np.sqrt(values[alive]))
    if filled:
        known = [np.ones((n, 1)), basis, rng.standard_normal((n, filled))]
        orthonormal, _ = qr(np.hstack(known), mode="economic")
        basis = np.hstack([basis, orthonormal[:, 1 + live :]])
    directions = np.hstack([vectors[:, alive], vectors[:, ~alive][:, :filled]])
    return np.sqrt(n) * dot(basis, directions.T)


def procrustes(cross: Array) -> Array:
    """Find the orthogonal R (r, r) that minimises ``‖B - V R‖``, from ``cross = BᵀV`` (r, r)."""
    left, _, right = svd(cross, lapack_driver="gesvd")
    return dot(right.T, left.T)


def leading_directions(x: npt.NDArray[Any]) -> Array:
    """Return the principal directions of x (n, d) as columns (d, d), largest variance first.

    In each, the entry of largest magnitude is positive: the sign does not depend on the library.
    """
    wide = np.asarray(x, dtype=np.float64)
    centred = wide - wide.mean(axis=0)
    vectors = eigh(dot(centred.T, centred))[1][:, ::-1]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def flips(signs: str, count: int, rng: np.random.Generator) -> Array:
    """Signs (count,) to multiply principal directions by: an eigenvector has none of its own."""
    return rng.choice([-1.0, 1.0], count) if signs == "drawn" else np.ones(count)


def leading_scores(x: npt.NDArray[Any], directions: Array, r: int, rng: np.random.Generator) -> Array:
    """Project x (n, d) on its first r directions, (n, r); columns beyond d are standard normal."""
    scores = dot(x, directions[:, :r])
    missing = r - scores.shape[1]
    return np.hstack([scores, rng.standard_normal((len(x), missing))]) if missing > 0 else scores


def codes_from_labels(
    targets: Sequence[Array],
    v: Array,
    old: Array | float,
    *,
    pull: float,
    inside: bool,
    balanced: Callable[[Array], Array],
    final: bool = True,
) -> tuple[Array, Array]:
    """Lower ``‖r YYᵀ - V Bᵀ‖² + pull ‖B - V‖²``; return codes B (n, r) and the updated Σ VᵀY (r, c).

    ``targets`` are the labels Y (n, c) before and after every iteration, ``v`` (n, r) is the initial V,
    ``old`` (r, c) the sum over older chunks, and ``balanced`` the step that solves for V. With ``inside``
    this chunk is added to the sum in every iteration, as in the authors' code; otherwise once, with the
    ``final`` V or with the V before the last update.
    """
    sums, b, r = old, signs(v), v.shape[1]
    for before, after in pairwise(targets):
        sums = (sums if inside else old) + dot(v.T, before)
        b = signs(pull * v + r * dot(before, sums.T))
        v = balanced(r * dot(after, dot(after.T, b)) + pull * b)
    return b, old + dot(v.T, targets[-1]) if final and not inside else np.asarray(sums)
