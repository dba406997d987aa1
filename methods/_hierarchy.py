"""Classes with parents: coarse classes above the label columns, for methods with two layers of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import Labels, ParameterError, param
from bench.methods._online import Array, dot

# Parameter of methods that use affiliation().
PARENTS: Any = param("", "number of each class's parent, from 0, with spaces between; empty: flat labels")


def affiliation(parents: str, classes: int) -> Array:
    """Return A (parents, classes), 1 where a class belongs to a parent; (0, classes) for flat labels.

    ``parents`` has one number per class: "0 0 1" puts the first two classes below one parent.
    """
    if not parents.strip():
        return np.zeros((0, classes))
    numbers = parents.split()
    if len(numbers) != classes or not all(number.isdecimal() for number in numbers):
        raise ParameterError(
            f"parents={parents!r} has {len(numbers)} entries; expected one whole number for each of the "
            f"{classes} classes, with spaces between, such as '0 0 1'."
        )
    of = np.array(numbers, dtype=np.intp)
    return (np.arange(of.max() + 1)[:, None] == of).astype(np.float64)


def coarse(labels: Labels, belongs: Array) -> Array:
    """Return the parents (n, p) of the classes of each item, 0 or 1, for labels (n, c) and A (p, c)."""
    return (dot(labels, belongs.T) > 0).astype(np.float64)
