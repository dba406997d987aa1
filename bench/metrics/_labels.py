"""Labels as people have them, on both sides of a search: one reading for both, into packed masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.foreign import LISTS, are_lists, dense, list_classes, listed
from bench.errors import DataError
from bench.scoring.hamming import Packed, pack_labels

Array = npt.NDArray[Any]


def both_sides(query: Any, database: Any, queries: int) -> tuple[Packed, Packed]:
    """Masks of both sides, as :func:`bench.scoring.hamming.pack_labels` makes them.

    Multi-hot matrices of 0 and 1 or of -1 and 1, class numbers in a column or vector, or a list of class
    numbers for every item. Raises DataError for anything else, and where the two sides do not match.
    """
    query, database = _without_names(*map(_column_of_names, (listed(query), listed(database))))
    sides = (query, database)
    if list_classes(sides):
        numbers = _of_lists("query", query), _of_lists("database", database)
        every = sorted({n for side in numbers for one in side for n in one})
        return _masks(numbers[0], every), _masks(numbers[1], every)
    asked, stored = dense(query), dense(database)
    if asked.ndim == stored.ndim == 2 and asked.shape == (1, queries) != (1, 1) and len(stored) == 1:
        asked, stored = asked[0], stored[0]  # class numbers in a row
    if queries == 1 and stored.ndim == 2 and asked.shape == stored.shape[1:] != (1,):
        asked = asked[None, :]  # one query in multi-hot form
    if 1 in (asked.ndim, stored.ndim) and {asked.shape[1:], stored.shape[1:]} <= {(), (1,)}:
        asked, stored = asked.reshape(-1), stored.reshape(-1)  # class numbers in a vector and in a column
    if asked.ndim != stored.ndim or asked.shape[1:] != stored.shape[1:]:
        raise DataError(
            f"query labels have shape {asked.shape} and database labels {stored.shape}; "
            "expected the same classes on both sides."
        )
    if asked.ndim == 2 and asked.shape[1] == 1:
        asked, stored = asked[:, 0], stored[:, 0]  # a multi-hot matrix of one class would say nothing
    if asked.ndim == 1:
        asked, stored = _whole(asked), _whole(stored)
        asked, stored = _counted(asked, stored)
        classes = 1 + max(
            (int(a.max()) for a in (asked, stored) if a.size and a.dtype.kind in "iu"), default=0
        )
        return pack_labels(asked, classes=max(classes, 1)), pack_labels(stored, classes=max(classes, 1))
    return pack_labels(_multi_hot(asked)), pack_labels(_multi_hot(stored))


def _whole(labels: Array) -> Array:
    """Class numbers that are stored as floats, booleans or objects as integers; others as they are."""
    if labels.dtype == object:
        labels = np.array(labels.tolist())
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.round(labels)).all():
        return labels.astype(np.int64)
    return labels


def _counted(asked: Array, stored: Array) -> tuple[Array, Array]:
    """Class numbers as they are, unless they are so large that a bit for each would not fit into memory."""
    both = np.concatenate([asked, stored])
    if both.dtype.kind not in "iu" or not both.size or both.min() < 0 or both.max() < max(len(both), 4096):
        return asked, stored
    places = np.unique(both, return_inverse=True)[1]
    return places[: len(asked)], places[len(asked) :]


def _column_of_names(labels: Any) -> Any:
    """Names of classes in an array of one column, or of bytes, as a vector of text; others as they are."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "SUO" or labels.size != len(labels):
        return labels
    return dense(labels).reshape(-1)


def _without_names(query: Any, database: Any) -> tuple[Any, Any]:
    """Names of classes, in a vector or in lists, as class numbers; anything else as it is."""
    sides = query, database
    if not all(isinstance(_first(side), str) for side in sides):
        return query, database
    items = [list(side) for side in sides]
    named = [[one] if isinstance(one, str) else list(one) for side in items for one in side]
    if not all(isinstance(name, str) for one in named for name in one):
        return query, database
    number = {name: n for n, name in enumerate(sorted({name for one in named for name in one}))}
    numbered = [[number[name] for name in one] for one in named]
    return numbered[: len(items[0])], numbered[len(items[0]) :]


def _first(labels: Any) -> Any:
    """The first value in a vector or in lists; None for other forms, such as a matrix."""
    if not isinstance(labels, (list, tuple, np.ndarray)) or (
        isinstance(labels, np.ndarray) and labels.ndim > 1
    ):
        return None
    one = next((one for one in labels if isinstance(one, str) or np.size(one)), None)
    return next(iter(one), None) if isinstance(one, LISTS) else one


def _multi_hot(labels: Array) -> Array:
    """-1 and 1 as 0 and 1; DataError for values that need a decision."""
    ones: Array = labels == 1
    if (ones | (labels == 0)).all() or (ones | (labels == -1)).all():
        return ones
    if labels.dtype.kind not in "iuf":
        raise DataError(
            f"labels are a matrix of {labels.dtype}; expected numbers. Give a multi-hot matrix of 0 and 1, "
            "for instance labels.astype(int)."
        )
    shown = ", ".join(f"{value:g}" for value in np.unique(labels)[:5].astype(float))
    raise DataError(
        f"labels hold the values {shown}; expected 0 and 1, or -1 and 1, with a column for every class. Give "
        "labels > 0 for votes or where 0 means no label, labels > 0.5 for soft labels."
    )


def _of_lists(side: str, labels: Any) -> list[list[int]]:
    if not are_lists(labels):
        raise DataError(
            f"{side} labels are not lists of class numbers, but the other side's are; expected the same form "
            "on both sides. Give a list for every item, or multi-hot matrices."
        )
    items = [one.tolist() if isinstance(one, np.ndarray) else list(one) for one in labels]
    strange = next((n for one in items for n in one if not _is_class(n)), None)
    if strange is not None:
        raise DataError(
            f"{side} labels: a list of class numbers holds {strange!r}; expected whole numbers from 0, and "
            "an empty list for an item without a label. Number the classes from 0."
        )
    return [[int(n) for n in one] for one in items]


def _is_class(number: Any) -> bool:
    real = isinstance(number, (int, float, np.integer, np.floating))
    return real and bool(number >= 0) and bool(number == np.floor(number)) and bool(np.isfinite(number))


def _masks(items: list[list[int]], classes: list[int]) -> Packed:
    """A column for each of the classes, which rise."""
    matrix = np.zeros((len(items), max(1, len(classes))), dtype=np.bool_)
    for row, numbers in enumerate(items):
        matrix[row, np.searchsorted(classes, numbers)] = True
    return pack_labels(matrix)
