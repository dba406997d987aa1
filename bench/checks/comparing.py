"""Comparing codes, and raising where a demand is not met: what the checks of methods share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ContractError

FEW = 0.005  # share of bits that another order of summation may flip: products close to 0
_FLOAT_ROUNDING = 1e-4  # of the largest value of real-valued vectors


def require(fact: bool, message: str) -> None:
    """Raise :class:`ContractError` where something is no fact."""
    if not fact:
        raise ContractError(message)


def differ(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where two arrays of codes differ, or two of vectors by more than float32 rounds."""
    if a.shape != b.shape:
        return np.ones(a.shape, dtype=bool)
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    return np.asarray(np.abs(a - b) > _FLOAT_ROUNDING * np.abs(a).max(initial=0))


def differing(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> str:
    """``12 of 640 bits differ``."""
    what = "values" if a.dtype.kind == "f" else "bits"
    return f"{int(differ(a, b).sum())} of {a.size} {what} differ"


def share_beyond_signs(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """The share of bits that differ where a bit that is negated in every code counts as the same.

    Distances are then equal: a principal direction, for instance, has no sign of its own.
    """
    if a.shape != b.shape:
        return 1.0
    flipped = np.minimum(differ(a, b).mean(axis=0), differ(a, -b).mean(axis=0))
    return float(flipped.mean())
