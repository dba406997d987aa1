"""Sums that online methods keep instead of old data: float64 sums of float32 chunks.

Shared by the files of this folder. All linear algebra is scipy's, and :func:`dot` stands for
``@``: numpy and scipy carry an OpenBLAS each, and two thread pools that take turns in one loop
cost a factor of two to four.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import field
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cho_factor, cho_solve, eigh

from bench.api import Codes, Shared, State, sign

Array = npt.NDArray[np.float64]
_BLOCK = 8192  # rows converted to float64 at a time


def dot(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Array:
    """``a @ b`` in float64 for two matrices of any type and memory order."""
    left, right = _fortran(a), _fortran(b)
    product: Array = blas.dgemm(1.0, left[0], right[0], trans_a=left[1], trans_b=right[1])
    return product


def _fortran(a: npt.NDArray[Any]) -> tuple[Array, bool]:
    """``a``, or its transpose, in the column order of BLAS; whether it is the transpose."""
    wide = np.asarray(a, dtype=np.float64)
    return (wide, False) if wide.flags.f_contiguous else (np.ascontiguousarray(wide).T, True)


def blocks(*arrays: npt.NDArray[Any]) -> Iterator[tuple[Array, ...]]:
    """The same rows of every array, some thousands at a time, as float64."""
    for start in range(0, len(arrays[0]), _BLOCK):
        yield tuple(np.asarray(a[start : start + _BLOCK], dtype=np.float64) for a in arrays)


def linear_codes(x: npt.NDArray[Any], w: Array, shift: Array | float = 0.0) -> Codes:
    """``sign(x w - shift)`` for x (n, d), w (d, r) and shift (r,)."""
    parts = [sign(dot(rows, w) - shift) for (rows,) in blocks(x)]
    return np.concatenate(parts) if parts else np.empty((0, w.shape[1]), np.int8)


class RunningMean(State):
    """Mean of all rows seen so far: ``mean`` is (d,) float64."""

    n: int = 0
    mean: Array | float = 0.0

    def add(self, x: npt.NDArray[Any]) -> Array:
        """Take in the rows of ``x`` (n, d) and return the mean of everything seen."""
        total = self.n + len(x)
        self.mean = self.mean * (self.n / total) + x.sum(axis=0, dtype=np.float64) / total
        self.n = total
        return np.asarray(self.mean)


class RunningGram(State):
    """The sum of ``xᵀx`` over all rows seen: ``gram`` is (d, d) float64, lower triangle only."""

    n: int = 0
    gram: Array | None = None

    def add(self, x: npt.NDArray[Any]) -> Self:
        """Take in the rows of ``x`` (n, d)."""
        wide = np.asarray(x, dtype=np.float64)
        if self.gram is None:
            self.gram = np.zeros((wide.shape[1], wide.shape[1]), order="F")
        self.gram = blas.dsyrk(1.0, wide.T, beta=1.0, c=self.gram, lower=True, overwrite_c=True)
        self.n += len(wide)
        return self

    def factor(self, penalty: float) -> Factor:
        """Cholesky factor of ``gram + penalty·I``, to be solved against any number of times.

        A penalty below the rounding error of the sums is raised to it: columns that depend on
        each other would otherwise make the factorisation fail.
        """
        assert self.gram is not None, "add() comes first"
        shifted = self.gram.copy(order="F")
        diagonal = np.diag_indices_from(shifted)
        rounding = len(shifted) * np.finfo(np.float64).eps * shifted[diagonal].max()
        shifted[diagonal] += max(penalty, rounding, np.finfo(np.float64).tiny)  # features may all be 0
        return Factor(cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False))

    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (d,) of ``gram``, smallest first, and its eigenvectors (d, d) as columns."""
        assert self.gram is not None, "add() comes first"
        values, vectors = eigh(self.gram, lower=True, driver="evd", check_finite=False)
        return values, vectors


class RunningRidge(State):
    """Ridge regression on all rows seen: the same solution however they were cut into chunks.

    The Gram matrix and its factor do not depend on the targets: code lengths that run together
    compute them once per round. ``key`` tells the features ``x`` apart from others of the chunk.
    """

    gram: RunningGram = field(default_factory=RunningGram)
    cross: Array | float = 0.0  # the sum of xᵀy, (d, r)

    def add(self, x: npt.NDArray[Any], y: npt.NDArray[Any], shared: Shared, key: Hashable) -> None:
        """Take in the rows of ``x`` (n, d) and their targets ``y`` (n, r)."""
        self.gram = shared.once(("gram", key), partial(self.gram.add, x))
        self.cross = self.cross + dot(np.asarray(x).T, y)

    def solve(self, penalty: float, shared: Shared, key: Hashable) -> Array:
        """The w (d, r) that minimises ``‖y - x w‖² + penalty·‖w‖²`` over all rows seen."""
        factor = shared.once(("factor", key, penalty), partial(self.gram.factor, penalty))
        return factor.solve(np.asarray(self.cross))


class Factor:
    """A Cholesky factor; :meth:`solve` gives the ridge solution for a right-hand side."""

    def __init__(self, factor: tuple[Array, bool]) -> None:
        self._factor = factor

    def solve(self, right: Array) -> Array:
        """``(gram + penalty·I)⁻¹ right`` for ``right`` (d, r)."""
        solved: Array = cho_solve(self._factor, right, check_finite=False)
        return solved
