"""Steps that several discrete online methods share: label similarity, balanced codes, rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, qr, svd

from bench.api import param, sign
from bench.methods._online import Array, dot

# Parameters of methods that use balanced_orthogonal() or leading_directions(), and the preset that sets those
# of the first as the authors' code.
TOLERANCE: Any = param(1e-12, "share of the largest eigenvalue below which a direction is dead", least=0)
ABSOLUTE: Any = param(False, "take the tolerance as an eigenvalue, as the authors' code does")
SIGNS: Any = param(
    "fixed", "of principal directions: the largest entry is positive, or drawn for every chunk"
)
AS_AUTHORS: Mapping[str, Mapping[str, Any]] = {"authors": {"tolerance": 1e-6, "absolute": True}}


def normalise_labels(labels: npt.NDArray[Any]) -> Array:
    """``G``: label rows (n, c) scaled to length 1, so that ``GGᵀ`` is their cosine similarity.

    A row without a label stays a row of zeros.
    """
    wide = np.asarray(labels, dtype=np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-7)


def signs(x: npt.NDArray[Any]) -> Array:
    """:func:`bench.api.sign` in float64, for codes that go on into products."""
    return sign(x).astype(np.float64)


def balanced_orthogonal(
    z: Array, rng: np.random.Generator, *, tolerance: float = 1e-12, absolute: bool = False
) -> Array:
    """The V (n, r) with ``VᵀV = nI`` and ``Vᵀ1 = 0`` that maximises ``tr(VᵀZ)``, for z (n, r).

    Directions of z whose eigenvalue is at most ``tolerance`` times the largest one (or at most
    ``tolerance`` itself, with ``absolute``) say nothing; they are filled with random directions
    orthogonal to 1 and to what is there. Only n - 1 such columns exist: with n <= r the
    directions that are left over become zero, and VᵀV is smaller than nI.
    """
    n, r = z.shape
    centred = z - z.mean(axis=0)
    values, vectors = eigh(dot(centred.T, centred))
    alive = values > (tolerance if absolute else tolerance * max(values[-1], 0.0))
    told = int(alive.sum())
    filled = max(min(r, n - 1) - told, 0)
    basis = dot(centred, vectors[:, alive] / np.sqrt(values[alive]))
    if filled:
        known = [np.ones((n, 1)), basis, rng.standard_normal((n, filled))]
        orthonormal, _ = qr(np.hstack(known), mode="economic")
        basis = np.hstack([basis, orthonormal[:, 1 + told :]])
    directions = np.hstack([vectors[:, alive], vectors[:, ~alive][:, :filled]])
    return np.sqrt(n) * dot(basis, directions.T)


def procrustes(cross: Array) -> Array:
    """The orthogonal R (r, r) that minimises ``‖B - V R‖``, from ``cross = BᵀV`` (r, r)."""
    left, _, right = svd(cross, lapack_driver="gesvd")
    return dot(right.T, left.T)


def leading_directions(x: npt.NDArray[Any]) -> Array:
    """The principal directions of x (n, d) as columns (d, d), of the largest variance first.

    The entry of largest magnitude of each is positive, so that no library decides on its sign.
    """
    wide = np.asarray(x, dtype=np.float64)
    centred = wide - wide.mean(axis=0)
    vectors = eigh(dot(centred.T, centred))[1][:, ::-1]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def flips(signs: str, count: int, rng: np.random.Generator) -> Array:
    """What to multiply ``count`` principal directions by: an eigenvector has no sign of its own."""
    return rng.choice([-1.0, 1.0], count) if signs == "drawn" else np.ones(count)


def leading_scores(x: npt.NDArray[Any], directions: Array, r: int, rng: np.random.Generator) -> Array:
    """x (n, d) along its first r directions, (n, r); where r > d the rest is standard normal."""
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
    """Codes B (n, r) that lower ``‖r YYᵀ - V Bᵀ‖² + pull ‖B - V‖²``, and Σ VᵀY (r, c) with this chunk in it.

    ``targets`` are the labels Y (n, c) before and after every iteration, ``v`` (n, r) is where V starts,
    ``old`` (r, c) the sum over older chunks and ``balanced`` the step that solves for V. With ``inside``
    this chunk enters the sum in every iteration, as in the authors' code, and else once, with the ``final`` V
    or with that before the last update.
    """
    sums, b, r = old, signs(v), v.shape[1]
    for before, after in pairwise(targets):
        sums = (sums if inside else old) + dot(v.T, before)
        b = signs(pull * v + r * dot(before, sums.T))
        v = balanced(r * dot(after, dot(after.T, b)) + pull * b)
    return b, old + dot(v.T, targets[-1]) if final and not inside else np.asarray(sums)
