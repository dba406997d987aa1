"""Sums that online methods keep instead of old data: float64 sums of float32 chunks.

Shared by the files of this folder. All linear algebra is scipy's: numpy and scipy carry an
OpenBLAS each, and two thread pools in one loop cost a factor of four (docs/design.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cho_factor, cho_solve

from bench.state import State

Array = npt.NDArray[np.float64]


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

    def add(self, x: npt.NDArray[Any]) -> None:
        """Take in the rows of ``x`` (n, d)."""
        wide = np.asarray(x, dtype=np.float64)
        if self.gram is None:
            self.gram = np.zeros((wide.shape[1], wide.shape[1]), order="F")
        self.gram = blas.dsyrk(1.0, wide.T, beta=1.0, c=self.gram, lower=True, overwrite_c=True)
        self.n += len(wide)

    def factor(self, penalty: float) -> Factor:
        """Cholesky factor of ``gram + penalty·I``, to be solved against any number of times."""
        assert self.gram is not None, "add() comes first"
        shifted = self.gram.copy(order="F")
        shifted[np.diag_indices_from(shifted)] += penalty
        return Factor(cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False))


class Factor:
    """A Cholesky factor; :meth:`solve` gives the ridge solution for a right-hand side."""

    def __init__(self, factor: tuple[Array, bool]) -> None:
        self._factor = factor

    def solve(self, right: Array) -> Array:
        """``(gram + penalty·I)⁻¹ right`` for ``right`` (d, r)."""
        solved: Array = cho_solve(self._factor, right, check_finite=False)
        return solved
