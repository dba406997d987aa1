"""Variables that no role reads and that may define the queries: by their names, values or size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.datasets._mapping import REQUIRED, Mapped, is_closed, once
from bench.datasets._reading import AnyVariable, Array
from bench.datasets._words import (
    PARTS,
    may_name_rows,
    meaning,
    names_ids,
    part_of,
    says_place,
    says_size,
    speaks_of_split,
)

_PART_WORDS = frozenset(word for known in PARTS.values() for word in known)


def unused(available: Mapping[str, AnyVariable], roles: Mapping[str, Mapped]) -> list[str]:
    """The shortest names of the variables that no role reads, sorted."""
    read = {id(m.variable) for m in roles.values()}
    for mapped in roles.values():
        read |= {id(part) for part in getattr(mapped.variable, "parts", {}).values()}
    return sorted(name for name, v in once(available) if id(v) not in read)


def not_understood(available: Mapping[str, AnyVariable], roles: Mapping[str, Mapped]) -> list[str]:
    """The unread variables that may define the queries."""
    rows = roles["image"].shape[0]
    return [name for name in unused(available, roles) if _may_split(name, available[name], rows)]


def advice(names: Sequence[str], available: Mapping[str, AnyVariable], rows: int) -> str:
    """How to say what these variables of a bundle of ``rows`` items mean."""
    shapes = {name: available[name].shape for name in names}
    arrays = [name for name, shape in shapes.items() if len(shape) > 1 and max(shape) < np.prod(shape)]
    if arrays:
        known = {meaning(name).role: name for name in reversed(arrays)}
        mapping = ";".join(f"query_{role}:{known.get(role, 'VARIABLE')}" for role in REQUIRED)
        return f"Map it, for instance mapping={mapping}"
    column = next((name for name in names if _names_parts(available[name], rows)), None)
    if column is not None:
        return f"Map it, mapping=split:{column}"
    index = [name for name, shape in shapes.items() if 1 < np.prod(shape) < rows]
    if index:
        return f"Map it, for instance mapping=query_index:{index[0]}"
    if all(np.prod(shape) == 1 and not is_closed(available[name]) for name, shape in shapes.items()):
        sizes = {name: int(available[name].read().ravel()[0]) for name in names}
        asked = [n for name, n in sizes.items() if part_of(name) == "query" and not says_place(name)]
        queries = asked[0] if asked else rows - max(sizes.values())
        return f"If it says that the last or first rows are the queries, write split=last,queries={queries}"
    return "Save them as query_index.npy"


def _may_split(name: str, variable: AnyVariable, rows: int) -> bool:
    size = int(np.prod(variable.shape))
    if is_closed(variable):
        return speaks_of_split(name)
    if size == 1:
        return says_size(name) and _counts(variable.read(), rows)
    if speaks_of_split(name) or _names_parts(variable, rows):
        return True
    if (
        names_ids(name)
        or not 1 < size == max(variable.shape) <= rows
        or not (size == rows or may_name_rows(name))
    ):
        return False
    values = variable.read().ravel()
    return values.dtype.kind in "biuf" and _may_be_rows(name, values, rows)


def _counts(stored: Array, rows: int) -> bool:
    """Whether a single value may count some of the items."""
    values = stored.ravel()
    return values.dtype.kind in "iuf" and bool(1 < values[0] < rows and values[0] == np.round(values[0]))


def _names_parts(variable: AnyVariable, rows: int) -> bool:
    """Whether a vector of text says train or test, or the like, for each item."""
    if not 1 < rows == np.prod(variable.shape) == max(variable.shape):
        return False
    values = variable.read().ravel()
    return values.dtype.kind in "UO" and all(str(value).strip().lower() in _PART_WORDS for value in values)


def _may_be_rows(name: str, values: Array, rows: int) -> bool:
    """Whether a vector of numbers may be a mask or the numbers of rows."""
    if may_name_rows(name) and (
        values.dtype == np.bool_ or (len(values) == rows and np.isin(values, (0, 1)).all())
    ):
        return True
    counted = np.sort(values)
    distinct = bool((np.diff(counted) > 0).all() and counted[0] >= 0 and counted[-1] <= rows)
    in_order = len(values) == rows and bool((counted == values).all())
    return distinct and not in_order and bool((values == np.round(values)).all())
