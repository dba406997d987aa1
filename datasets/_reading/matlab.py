"""MATLAB's .mat of v4 and v5: matrices, and the fields and cells inside structs and cell arrays.

Trap: scipy stops silently where the next variable should begin, so a bundle truncated there would pass
for one without queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import DataError
from bench.datasets._reading.variable import Array, Shape, text_array, vectors

NESTED = ("struct", "cell", "object")
VIEWS = 16  # cells that a cell array of matrices has at most; a longer one holds items


def shapes(path: Path) -> dict[str, Shape]:
    import scipy.io

    _check_complete(path)
    found: dict[str, Shape] = {}
    for name, shape, kind in scipy.io.whosmat(path):
        if kind in NESTED:
            found |= {n: tuple(leaf.shape) for n, leaf in _leaves(name, _load(path, name))}
        elif kind not in ("function", "opaque"):
            found[name] = tuple(shape)
    return found


def read(path: Path, name: str) -> Array:
    import scipy.sparse

    top = name.partition("/")[0].partition("{")[0]
    value = dict(_leaves(top, _load(path, top)))[name]
    if scipy.sparse.issparse(value):
        value = value.astype(np.float32).toarray()
    if value.dtype == object and not any(isinstance(cell, str) for cell in value.flat):
        if not all(_is_row(cell) or np.size(cell) == 0 for cell in value.flat):
            raise unequal(path, name, value.size)
        return vectors(list(value.flat))
    return text_array(list(value.flat), value.shape) if value.dtype.kind == "U" else np.asarray(value)


def unequal(path: Path, name: str, cells: int) -> DataError:
    """The error for a cell array that holds matrices of different sizes."""
    return DataError(
        f"{path}, variable {name}: is a cell array of {cells} cells of different sizes; expected a matrix "
        "with a row for each item. Save one in MATLAB: lists of classes as 0 and 1, a column for each class."
    )


def _load(path: Path, name: str) -> Any:
    import scipy.io

    return scipy.io.loadmat(path, variable_names=[name], spmatrix=False)[name]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays inside a variable: fields as ``name/field``, cells as ``name{1}``, ``name{2}``, ..."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        for field in value.dtype.names:
            inner = value[field].flat[0] if value.size == 1 else value[field]
            yield from _leaves(f"{name}/{field}", inner)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from _cells(name, value)
    elif hasattr(value, "shape"):
        yield name, value


def _cells(name: str, value: Array) -> Iterator[tuple[str, Any]]:
    """A cell array of strings or of equally long rows is one array; one of a few matrices is several."""
    cells = list(value.flat)
    if all(is_text(cell) for cell in cells):
        yield name, text_array([joined(cell) for cell in cells], value.shape)
    elif all(_is_row(cell) for cell in cells) and len({np.size(cell) for cell in cells}) == 1:
        yield name, np.stack([np.ravel(cell) for cell in cells])
    elif len(cells) <= VIEWS:
        for number, cell in enumerate(value.ravel(order="F"), start=1):
            yield from _leaves(f"{name}{{{number}}}", cell)
    else:
        yield name, value


def is_text(cell: Any) -> bool:
    """Whether a cell holds a string, or cells that do; an empty cell is an empty string."""
    if isinstance(cell, np.ndarray):
        if cell.dtype == object:
            return all(is_text(inner) for inner in cell.flat)
        return cell.dtype.kind == "U" or cell.size == 0
    return isinstance(cell, str)


def joined(cell: Any) -> str:
    """The strings of a cell, separated by spaces."""
    if isinstance(cell, np.ndarray):
        return " ".join(filter(None, (joined(inner) for inner in cell.flat)))
    return str(cell).strip()


def _is_row(cell: Any) -> bool:
    return isinstance(cell, np.ndarray) and cell.dtype.kind in "biuf" and max(cell.shape) == cell.size > 0


def _check_complete(path: Path) -> None:
    """Follow the lengths of the variables in a v5 file to its end."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        mark = stream.read(128)[126:]
        if mark not in (b"IM", b"MI"):
            return  # v4, which has no header; or no .mat at all, which scipy reports
        end = 128
        while end < size:
            stream.seek(end + 4)
            end += 8 + int.from_bytes(stream.read(4), "little" if mark == b"IM" else "big")
    if end != size:
        raise ValueError(f"it ends {end - size} bytes early")
