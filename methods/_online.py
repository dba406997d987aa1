"""Running sums that online methods keep instead of old data: float64 sums over float32 chunks.

All linear algebra here is scipy's; use :func:`dot`, not ``@``. numpy and scipy each bundle an OpenBLAS,
and a loop that alternates between the two thread pools is slow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cho_factor, cho_solve, eigh

from bench.api import Codes, Modality, Rows, Shared, Split, State, param, sign

Array = npt.NDArray[np.float64]
_BLOCK = 8192  # rows converted to float64 at a time
KEEP_CODES: Any = param(  # of methods that offer it
    False, "keep the code of every item, to subtract deleted items from the hash functions"
)


def dot(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Array:
    """Return ``a @ b`` in float64 for two matrices of any dtype and memory order."""
    left, right = _fortran(a), _fortran(b)
    product: Array = blas.dgemm(1.0, left[0], right[0], trans_a=left[1], trans_b=right[1])
    return product


def _fortran(a: npt.NDArray[Any]) -> tuple[Array, bool]:
    """Return ``a`` or its transpose, whichever is in column order, and whether it is the transpose."""
    wide = np.asarray(a, dtype=np.float64)
    return (wide, False) if wide.flags.f_contiguous else (np.ascontiguousarray(wide).T, True)


def blocks(*arrays: npt.NDArray[Any]) -> Iterator[tuple[Array, ...]]:
    """Iterate over matching rows of the arrays, a few thousand at a time, as float64."""
    for start in range(0, len(arrays[0]), _BLOCK):
        yield tuple(np.asarray(a[start : start + _BLOCK], dtype=np.float64) for a in arrays)


def linear_outputs(x: npt.NDArray[Any], w: Array, shift: Array | float = 0.0) -> Array:
    """Return ``x w - shift``, (n, r), for x (n, d), w (d, r) and shift (r,)."""
    parts = [dot(rows, w) - shift for (rows,) in blocks(x)]
    return np.concatenate(parts) if parts else np.empty((0, w.shape[1]))


def linear_codes(x: npt.NDArray[Any], w: Array, shift: Array | float = 0.0) -> Codes:
    """Return the signs of :func:`linear_outputs`."""
    return sign(linear_outputs(x, w, shift))


class RunningMean(State):
    """Running mean of all rows: ``mean`` is (d,) float64."""

    n: int = 0
    mean: Array | float = 0.0

    def add(self, x: npt.NDArray[Any]) -> Array:
        """Add the rows of ``x`` (n, d) and return the new mean."""
        total = self.n + len(x)
        self.mean = self.mean * (self.n / total) + x.sum(axis=0, dtype=np.float64) / total
        self.n = total
        return np.asarray(self.mean)


class RunningGram(State):
    """Running sum of ``xᵀx`` over all rows: ``gram`` is (d, d) float64, lower triangle only."""

    n: int = 0
    gram: Array | None = None

    def add(self, x: npt.NDArray[Any]) -> Self:
        """Add the rows of ``x`` (n, d)."""
        return self._plus(x, 1)

    def remove(self, x: npt.NDArray[Any]) -> Self:
        """Subtract the rows of ``x`` (n, d), which were added before."""
        return self._plus(x, -1)

    def _plus(self, x: npt.NDArray[Any], times: Literal[1, -1]) -> Self:
        wide = np.asarray(x, dtype=np.float64)
        if self.gram is None:
            self.gram = np.zeros((wide.shape[1], wide.shape[1]), order="F")
        self.gram = blas.dsyrk(float(times), wide.T, beta=1.0, c=self.gram, lower=True, overwrite_c=True)
        self.n += times * len(wide)
        return self

    def factor(self, penalty: float) -> Factor:
        """Factor ``gram + penalty·I`` once (Cholesky), for any number of solves.

        A penalty below the rounding error of the sums is raised to it: otherwise linearly dependent columns
        would make the factorisation fail.
        """
        assert self.gram is not None, "add() comes first"
        shifted = self.gram.copy(order="F")
        diagonal = np.diag_indices_from(shifted)
        rounding = len(shifted) * np.finfo(np.float64).eps * shifted[diagonal].max()
        shifted[diagonal] += max(penalty, rounding, np.finfo(np.float64).tiny)  # all features may be 0
        return Factor(cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False))

    def spectrum(self) -> tuple[Array, Array]:
        """Return the eigenvalues (d,) of ``gram``, smallest first, and its eigenvectors (d, d) as columns."""
        assert self.gram is not None, "add() comes first"
        values, vectors = eigh(self.gram, lower=True, driver="evd", check_finite=False)
        return values, vectors


class RunningRidge(State):
    """Ridge regression on all rows so far; the split into chunks does not change the solution.

    The Gram matrix and its factor do not depend on the targets: code lengths that run together
    compute them once per round. ``key`` names the features ``x`` among those of the chunk.
    """

    gram: RunningGram = field(default_factory=RunningGram)
    cross: Array | float = 0.0  # the sum of xᵀy, (d, r)

    def add(self, x: npt.NDArray[Any], y: npt.NDArray[Any], shared: Shared, key: Hashable) -> None:
        """Add the rows of ``x`` (n, d) with their targets ``y`` (n, r)."""
        self.gram = shared.once(("gram", key), partial(self.gram.add, x))
        self.cross = self.cross + dot(np.asarray(x).T, y)

    def remove(self, x: npt.NDArray[Any], y: npt.NDArray[Any], shared: Shared, key: Hashable) -> None:
        """Subtract the rows of ``x`` (n, d), which were added with the targets ``y`` (n, r)."""
        self.gram = shared.once(("gram without", key), partial(self.gram.remove, x))
        self.cross = self.cross - dot(np.asarray(x).T, y)

    def solve(self, penalty: float, shared: Shared, key: Hashable) -> Array:
        """Find the w (d, r) that minimises ``‖y - x w‖² + penalty·‖w‖²`` over all rows so far."""
        factor = shared.once(("factor", key, penalty), partial(self.gram.factor, penalty))
        return factor.solve(np.asarray(self.cross))


def without(
    ridges: Mapping[Modality, RunningRidge],
    items: Split,
    rows: Rows | slice,
    codes: npt.NDArray[Any],
    penalty: float,
) -> dict[Modality, Array]:
    """Subtract some ``rows`` of deleted items, with codes (k, r), from the regression of each modality.

    Returns the new weights (d, r): but for rounding, those of a regression that never saw these items. Ours.
    """
    weights = {}
    for m, ridge in ridges.items():
        ridge.remove(items.batch(m).features[rows], codes, items.shared, m)
        weights[m] = ridge.solve(penalty, items.shared, ("left", m))
    return weights


class KeptCodes(State):
    """The learned code of every item by its id, so that it can be subtracted from a sum. Ours.

    ``ids`` is (n,), ``packed`` (n, ⌈r / 8⌉) uint8: 8 + r / 8 bytes an item.
    """

    bits: int
    ids: Rows
    packed: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls, bits: int) -> Self:
        return cls(bits, np.empty(0, np.intp), np.empty((0, -(-bits // 8)), np.uint8))

    def add(self, ids: Rows, codes: npt.NDArray[Any]) -> None:
        """Keep the codes (n, r), -1 or +1, of new items (n,)."""
        self.ids = np.concatenate([self.ids, ids])
        self.packed = np.concatenate([self.packed, np.packbits(codes > 0, axis=1)])

    def take_out(self, ids: Rows) -> Array:
        """Return the codes (n, r) of items (n,), and keep them no longer."""
        order = np.argsort(self.ids)
        places = order[np.searchsorted(self.ids, ids, sorter=order)]
        bits = np.unpackbits(self.packed[places], axis=1, count=self.bits)
        self.ids, self.packed = np.delete(self.ids, places), np.delete(self.packed, places, axis=0)
        return np.where(bits, 1.0, -1.0)


class Factor:
    """A Cholesky factor; :meth:`solve` returns the ridge solution for a right-hand side."""

    def __init__(self, factor: tuple[Array, bool]) -> None:
        self._factor = factor

    def solve(self, right: Array) -> Array:
        """Return ``(gram + penalty·I)⁻¹ right`` for ``right`` (d, r)."""
        solved: Array = cho_solve(self._factor, right, check_finite=False)
        return solved
