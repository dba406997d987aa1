"""Classes with parents: coarse classes above the label columns, for methods with two layers of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import Labels, ParameterError, param
from bench.methods._online import Array, dot

# Parameter of methods that use affiliation().
PARENTS: Any = param(
    "",
    "number of each class's parent, from 0, with spaces between; empty: the dataset's hierarchy, if it has "
    "one; none: flat labels",
)


def affiliation(parents: str, classes: int, known: tuple[str, ...] = ()) -> Array:
    """Return A (parents, classes), 1 where a class belongs to a parent; (0, classes) for flat labels.

    ``parents`` has one number per class: "0 0 1" puts the first two classes below one parent. Where it is
    empty, ``known`` has the name of each class's parent, "" for a class without one.
    """
    if parents.strip() == "none" or not (parents.strip() or any(known)):
        return np.zeros((0, classes))
    if not parents.strip():
        names = sorted(set(filter(None, known)))
        return (np.array(names)[:, None] == np.array(known)).astype(np.float64)
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
