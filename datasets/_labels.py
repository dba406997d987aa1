"""Converts the labels of bundles, multi-hot or class numbers, into uint8 multi-hot matrices."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.api import DataError, Labels
from bench.datasets._mapping import Mapped
from bench.datasets._reading import Array

LabelKind = Literal["auto", "multi-hot", "class-number"]


def read(variables: list[Mapped], kind: LabelKind) -> tuple[list[Labels], tuple[str, ...], str]:
    """Return one matrix (n, classes) per variable, column names if the values define them, and a note.

    ``auto`` reads a single column (or row, or vector) as class numbers. The class numbers of all
    variables together become the columns, in rising order.
    """
    raw = [_stored(v) for v in variables]
    if kind == "class-number" or (kind == "auto" and all(x.ndim == 1 for x in raw)):
        for v, x in zip(variables, raw, strict=True):
            _check_numbers(v, x)
        values = np.unique(np.concatenate(raw))
        if not len(values):
            raise DataError(
                f"{variables[0].where}: is empty; expected a label per item. Map another variable."
            )
        matrices = [(x[:, None] == values[None, :]).astype(np.uint8) for x in raw]
        note = f"labels read as class numbers {values[0]} to {values[-1]}: {len(values)} columns"
        return matrices, tuple(str(int(v)) for v in values), note
    matrices = [_multi_hot(v, x) for v, x in zip(variables, raw, strict=True)]
    return matrices, (), f"labels read as multi-hot, {matrices[0].shape[1]} columns"


def select(names: tuple[str, ...], prefixes: str, source: object) -> list[int]:
    """The columns whose name begins with one of ``prefixes``, which are separated by ``;``."""
    wanted = tuple(filter(None, prefixes.split(";")))
    columns = [c for c, name in enumerate(names) if name.startswith(wanted)]
    if not columns:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise DataError(
            f"files: label_prefix={prefixes!r} matches no column of {source}; names are "
            f"{shown or 'unknown (map them: mapping=classes:VARIABLE)'}. Use the beginning of one."
        )
    return columns


def _stored(variable: Mapped) -> Array:
    array = variable.numbers()
    if array.ndim not in (1, 2):
        raise DataError(
            f"{variable.where}: has shape {array.shape}; expected labels (items, classes) or class numbers "
            "(items,). Map another variable."
        )
    return array.ravel() if 1 in array.shape else array


def _check_numbers(variable: Mapped, x: Array) -> None:
    if x.ndim != 1 or not np.isfinite(x).all() or (x != np.round(x)).any():
        raise DataError(
            f"{variable.where}: shape {variable.shape} does not hold class numbers; expected one whole "
            "number per item. Write labels=multi-hot, or map another variable."
        )


def _multi_hot(variable: Mapped, x: Array) -> Labels:
    matrix = x[:, None] if x.ndim == 1 else x
    good = (matrix == 0) | (matrix == 1)
    if not good.all():
        raise DataError(
            f"{variable.where}: shape {variable.shape} holds {matrix[~good][0]}; expected labels of 0 and 1, "
            "a column per class. Give one column of class numbers, or map another variable."
        )
    return np.ascontiguousarray(matrix, dtype=np.uint8)
