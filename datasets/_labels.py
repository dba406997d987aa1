"""Converts the labels of bundles into uint8 multi-hot matrices.

The trap: people write the same labels in many ways. A reading that can mean only one thing is taken and
noted; where two are likely, the error names the value of the option ``labels`` that decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import DataError, Labels, ParameterError
from bench.datasets._mapping import Mapped
from bench.datasets._reading import Array, ragged, vectors

KINDS = {
    "auto": "by shape and values: a single column holds class numbers",
    "multi-hot": "a column per class, of 0 and 1 or of -1 and 1",
    "class-number": "one number per item, or a list of them; -1 and NaN are no label",
    "signed-class-number": "one number per item; negative numbers are classes too",
    "above:X": "values above X are labels: for soft labels, votes, or -1, 0 and 1",
}
OPTION = "how to read labels: " + ", ".join(KINDS) + "; auto takes a single column as class numbers"
Column = npt.NDArray[np.float64]


def read(
    variables: Sequence[Mapped], how: str, rows: Sequence[int]
) -> tuple[list[Labels], tuple[str, ...], str]:
    """Return one matrix (n, classes) per variable, column names if the values define them, and a note.

    ``how`` is one of :data:`KINDS`; ``rows`` are the items of each variable. The class numbers of all
    variables together become the columns, in rising order.
    """
    bound = _bound(how)
    stored = [_unwritten(v.read(), n) for v, n in zip(variables, rows, strict=True)]
    if how in ("auto", "class-number") and all(x.dtype.kind in "UO" for x in stored):
        return _of_lists(
            variables, [_lists(v, x, n) for v, x, n in zip(variables, stored, rows, strict=True)]
        )
    raw = [_stored(v, x, n) for v, x, n in zip(variables, stored, rows, strict=True)]
    above = "" if bound is None else f", values above {bound:g} taken as labels"
    if bound is not None:
        with np.errstate(invalid="ignore"):  # NaN is above nothing
            raw = [x > bound for x in raw]
    if how == "class-number" and any(x.ndim == 2 for x in raw):
        return _of_lists(variables, [_rows_of_numbers(x) for x in raw])
    numbers = how in ("class-number", "signed-class-number")
    if numbers or (how != "multi-hot" and all(x.ndim == 1 for x in raw)):
        matrices, names, note = _of_numbers(variables, raw, how)
        return matrices, names, note + above
    if how == "auto" and len({x.ndim for x in raw}) > 1:
        one, several = sorted(zip(variables, raw, strict=True), key=lambda pair: pair[1].ndim)
        raise DataError(
            f"{one[0].where}: holds one class number per item, and {several[0].variable.name} a column per "
            f"class; expected both in one form. Save it as np.eye({several[1].shape[1]})[x], if classes "
            "count from 0."
        )
    pairs = [_multi_hot(v, x) for v, x in zip(variables, raw, strict=True)]
    matrices = [matrix for matrix, _ in pairs]
    for variable, matrix in zip(variables, matrices, strict=True):
        if matrix.shape[1] != matrices[0].shape[1]:
            raise DataError(
                f"{variable.where}: has {matrix.shape[1]} label columns; expected {matrices[0].shape[1]}, as "
                f"{variables[0].variable.name} has. Write both as multi-hot, or both as class numbers."
            )
    read_as = "".join(dict.fromkeys(note for _, note in pairs))
    return matrices, (), f"labels read as multi-hot, {matrices[0].shape[1]} columns{read_as}{above}"


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


def _bound(how: str) -> float | None:
    """The number in ``above:0.5``; None for the other kinds."""
    match = re.fullmatch(r"above:([-+]?[0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)", how)
    if match is None and how not in KINDS:
        raise ParameterError(
            f"labels={how!r} is not one of {', '.join(KINDS)}, with X a number. Try labels=auto."
        )
    if how == "above:X":
        raise ParameterError("labels=above:X needs a number in place of X. Try labels=above:0.5.")
    return None if match is None else float(match[1])


def _stored(variable: Mapped, stored: Array, rows: int) -> Array:
    """A matrix (items, classes), or a vector of one value per item, whichever way it lies."""
    array = np.atleast_1d(variable.numbers() if stored.dtype.kind in "UO" else stored)  # text is refused
    if array.ndim > 2:
        raise DataError(
            f"{variable.where}: has shape {array.shape}; expected labels (items, classes) or class numbers "
            "(items,). Map another variable."
        )
    if rows == 1 and array.size > 1 and (array.ndim == 1 or len(array) == 1):
        return array.reshape(1, -1)  # one item in multi-hot form, and no row of class numbers
    return array.ravel() if 1 in array.shape else array


def _lists(variable: Mapped, stored: Array, rows: int) -> list[list[Any]]:
    """The class numbers or names of each item, from text or from lists."""
    if ragged(stored):
        return [np.asarray(one).ravel().tolist() for one in stored.flat]
    lines = stored.reshape(rows, -1) if rows and stored.size % rows == 0 else stored.reshape(-1, 1)
    items = [[name for name in map(str.strip, map(str, line)) if name] for line in lines]
    names = {name for names in items for name in names}
    if lines.shape[1] > 1 and all(name.replace(".", "").isdigit() for name in names):
        variable.numbers()  # raises the reason: digits as text
    if len(names) > max(2, len(items) // 2):
        variable.numbers()  # so many are no classes, but names of items or sentences
    several = next((name for name in sorted(names) if _is_several(name, names)), None)
    if several is not None:
        raise DataError(
            f"{variable.where}: holds {several!r}, which seems to name several classes; expected one class "
            "per item, or a column of 0 and 1 for each. Convert: pandas.Series(x).str.get_dummies(sep=...)."
        )
    return items


def _rows_of_numbers(x: Array) -> list[list[Any]]:
    """The class numbers in each row, without NaN."""
    rows = x.reshape(len(x), -1).astype(np.float64)
    return [row[~np.isnan(row)].tolist() for row in rows]


def _unwritten(stored: Array, rows: int) -> Array:
    """Text of lists as arrays: as Python or NumPy print them, ['cat', 'dog'] or [0 1 0], or as 0 2."""
    values = [str(value).strip() for value in stored.flat] if stored.dtype.kind in "UO" else []
    if stored.ndim == 2 and values and {value.lower() for value in values} <= {"true", "false"}:
        return np.char.lower(stored.astype(str)) == "true"
    if len(values) != rows or ragged(stored):
        return stored
    if all(value[:1] in ("[", "(", "{") for value in values):
        inner = [value.strip("[](){}") for value in values]
        names = [re.split(r"\s*,\s*", one) if "," in one or "'" in one else one.split() for one in inner]
    elif any(" " in value for value in values):
        names = [value.split() for value in values]
        if not all(name.isdigit() for one in names for name in one):
            return stored
    else:
        return stored
    names = [[name.strip(" '\"") for name in one if name] for one in names]
    if not all(name.isdigit() for one in names for name in one):
        return vectors(names)
    numbers = [[int(name) for name in one] for one in names]
    hot = len({len(one) for one in numbers}) == 1 and {n for one in numbers for n in one} == {0, 1}
    return np.array(numbers) if hot and len(numbers[0]) > 2 else vectors(numbers)


def _is_several(name: str, names: set[str]) -> bool:
    """Whether a name has separators, or consists of words that are names themselves."""
    words = re.split(r"[\s/+_-]+", name)
    return any(mark in name for mark in ",;|") or (len(words) > 1 and names >= set(words))


def _of_lists(
    variables: Sequence[Mapped], lists: Sequence[list[list[Any]]]
) -> tuple[list[Labels], tuple[str, ...], str]:
    """A column for each class number or name that the lists hold, in rising order."""
    values = {value for items in lists for one in items for value in one}
    text = {value for value in values if isinstance(value, str)}
    numbers = {value for value in values - text if value != -1}
    odd = [value for value in numbers if not (value >= 0 and value % 1 == 0)]
    twice = any(len(one) - one.count(-1) > len({*one} - {-1}) for items in lists for one in items)
    if odd or twice or not values:
        fact = f"hold {odd[0]:g}" if odd else "name a class twice for one item" if twice else "are empty"
        raise DataError(
            f"{variables[0].where}: its lists {fact}; expected each item's class numbers, from 0, or names. "
            "Save 0 and 1 with a column for each class."
        )
    columns = sorted(text or numbers)
    place = {value: column for column, value in enumerate(columns)}
    matrices = []
    for items in lists:
        matrix = np.zeros((len(items), len(columns)), np.uint8)
        for row, one in enumerate(items):
            matrix[row, [place[value] for value in one if value in place]] = 1
        matrices.append(matrix)
    kind = "names of classes" if text else "lists of class numbers"
    names = tuple(str(c) if text else str(int(c)) for c in columns)
    shown = f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
    return matrices, names, f"labels read as {kind}, {shown}: {len(names)} columns"


def _of_numbers(
    variables: Sequence[Mapped], raw: Sequence[Array], how: str
) -> tuple[list[Labels], tuple[str, ...], str]:
    columns = [_whole(v, x) for v, x in zip(variables, raw, strict=True)]
    every = np.concatenate(columns)
    values = np.unique(every[~np.isnan(every)])
    if not len(values):
        raise DataError(f"{variables[0].where}: is empty; expected a label per item. Map another variable.")
    missing = ["NaN"] if np.isnan(every).any() else []
    if values[0] < 0 and _minus_one_is_no_label(variables[0], values, how):
        values = values[values != -1]
        missing.append("-1")
    matrices = [(x[:, None] == values[None, :]).astype(np.uint8) for x in columns]
    names = tuple(str(int(v)) for v in values)
    note = f"labels read as class numbers {names[0]} to {names[-1]}: {len(names)} columns"
    if len(names) == 2:
        note = f"labels read as two classes, {names[0]} and {names[1]}"
    return matrices, names, note + (f"; {' and '.join(missing)} read as no label" if missing else "")


def _whole(variable: Mapped, x: Array) -> Column:
    """A vector of class numbers in float64; NaN stays."""
    if x.ndim != 1:
        raise DataError(
            f"{variable.where}: shape {variable.shape} does not hold class numbers; expected one whole "
            "number per item. Write labels=multi-hot, or map another variable."
        )
    numbers: Column = x.astype(np.float64)
    odd = numbers[(numbers != np.round(numbers)) & ~np.isnan(numbers)]
    if len(odd) or np.isinf(numbers).any():
        shown = odd[0] if len(odd) else "inf"
        raise DataError(
            f"{variable.where}: holds {shown}, shape {variable.shape} does not hold class numbers; expected "
            "one whole number per item. Write labels=above:0.5 for scores of one class, or map another "
            "variable."
        )
    return numbers


def _minus_one_is_no_label(variable: Mapped, values: Column, how: str) -> bool:
    """Whether -1 marks items without a label; asks where it may as well be a class."""
    if how == "signed-class-number":
        return False
    if values[0] < -1:
        raise DataError(
            f"{variable.where}: holds class number {values[0]:g}; expected numbers from 0, and -1 for items "
            "without a label. Write labels=signed-class-number if negative numbers are classes."
        )
    if how == "class-number":
        return True
    known = set(values.tolist())
    if known == {-1.0, 1.0}:
        return False  # two classes, as classifiers write them
    if known <= {-1.0, 0.0, 1.0}:
        raise DataError(
            f"{variable.where}: holds {_shown(values)} as class numbers; expected to know whether -1 is a "
            "class or marks items without a label. Write labels=signed-class-number if -1 is a class, or "
            "labels=class-number if it is no label."
        )
    return True


def _multi_hot(variable: Mapped, x: Array) -> tuple[Labels, str]:
    """The matrix as 0 and 1, and how its values were read, where they are others."""
    matrix = x[:, None] if x.ndim == 1 else x
    ones = matrix == 1
    if matrix.size and (ones | (matrix == 0)).all():
        return np.ascontiguousarray(ones, dtype=np.uint8), ""
    if matrix.size and (ones | (matrix == -1)).all():
        return np.ascontiguousarray(ones, dtype=np.uint8), "; -1 read as no label"
    values = np.unique(matrix)
    if not len(values):
        raise DataError(f"{variable.where}: is empty; expected a label per item. Map another variable.")
    if len(values) == 2 and values[0] == 0 and values[1] > 0:
        return np.ascontiguousarray(matrix != 0, dtype=np.uint8), f"; {values[1]:g} read as a label"
    raise DataError(
        f"{variable.where}: shape {variable.shape} holds {_shown(values)}; expected labels of 0 and 1 (or -1 "
        f"and 1), a column per class. {_advice(values)}"
    )


def _advice(values: Array) -> str:
    if np.isnan(values).any():
        return "Write labels=above:0.5, by which NaN is no label, or map another variable."
    if set(values.tolist()) == {-1, 0, 1}:
        return (
            "If 0 means absent or unknown, write labels=above:0, which takes only 1 as a label; if it means "
            "possibly present, write labels=above:-1, which takes 0 too."
        )
    if values[0] >= 0 and values[-1] <= 1:
        return "For soft labels write labels=above:0.5, or another bound."
    if len(values) == 2:
        return f"If {values[1]:g} marks a label, write labels=above:{values[0]:g}; else map another variable."
    if values[0] < 0 or (values == np.round(values)).all():
        return (
            "If every positive value is a label, write labels=above:0; if each row lists class numbers, with "
            "-1 for none, labels=class-number; else map another variable."
        )
    return "Write labels=above:X with the bound X of your scores, or map another variable."


def _shown(values: Array) -> str:
    """Up to five of the values."""
    listed = [f"{v:g}" for v in values[:5].astype(np.float64)]
    if len(values) > 5:
        return f"{', '.join(listed)}, ... ({len(values)} values)"
    return " and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
