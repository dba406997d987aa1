"""HDF5: MATLAB's .mat of v7.3 with its structs and cell arrays, and files that h5py wrote.

Trap: MATLAB stores a matrix by columns, so HDF5 shows it transposed; it is turned back here. A file that
does not come from MATLAB keeps its axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import Features
from bench.datasets._reading import variable
from bench.datasets._reading.matlab import VIEWS, unequal
from bench.datasets._reading.variable import Array, Shape, matrix_of, text_array, vectors


def is_hdf5(path: Path) -> bool:
    """Whether the content is HDF5, whatever the suffix."""
    import h5py

    return bool(h5py.is_hdf5(path))


def is_matlab(path: Path) -> bool:
    """Whether MATLAB wrote the file, by its first bytes or its name: it stores arrays by columns."""
    with path.open("rb") as stream:
        return stream.read(10) == b"MATLAB 7.3" or path.suffix.lower() == ".mat"


def shapes_matlab(path: Path) -> dict[str, Shape]:
    return _shapes(path, matlab=True)


def shapes_plain(path: Path) -> dict[str, Shape]:
    return _shapes(path, matlab=False)


def read_matlab(path: Path, name: str) -> Array:
    import h5py

    with h5py.File(path, "r") as file:
        item = _item(file, name)
        if "MATLAB_sparse" in item.attrs:
            return _sparse(item)
        if "MATLAB_empty" in item.attrs:
            return np.zeros(tuple(int(n) for n in item[()]))
        if _is_cells(item):
            if _is_text(file, file[item[()].flat[0]]) or _are_rows(file, item):
                return _of_cells(file, item)
            rows = [_row(file[reference]) for reference in item[()].T.flat]
            if any(row is None for row in rows):
                raise unequal(path, name, item.size)
            return vectors([row for row in rows if row is not None])
        if _is_chars(item):
            return _chars(item)
        return _values(item).T


def read_plain(path: Path, name: str) -> Array:
    import h5py

    with h5py.File(path, "r") as file:
        return _values(file[name])


def stream_matlab(path: Path, name: str, shape: Shape) -> Features | None:
    return _stream(path, name, shape, matlab=True)


def stream_plain(path: Path, name: str, shape: Shape) -> Features | None:
    return _stream(path, name, shape, matlab=False)


def _shapes(path: Path, *, matlab: bool) -> dict[str, Shape]:
    import h5py

    with h5py.File(path, "r") as file:
        return dict(_leaves(file, "", file, matlab=matlab))


def _leaves(file: Any, name: str, item: Any, *, matlab: bool) -> Iterator[tuple[str, Shape]]:
    """The arrays below an item: fields as ``name/field``, cells as ``name{1}``, ``name{2}``, ..."""
    import h5py

    if "MATLAB_sparse" in item.attrs:
        yield name, (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1)
    elif isinstance(item, h5py.Group):
        for key in item:
            if not key.startswith("#"):  # what cells refer to
                yield from _leaves(file, f"{name}/{key}".lstrip("/"), item[key], matlab=matlab)
    elif matlab and _is_cells(item):
        first = file[item[()].flat[0]] if item.size else None
        text = first is not None and _is_text(file, first)
        rows = not text and first is not None and _are_rows(file, item)
        if first is None or item.size > VIEWS or text or rows:
            across = tuple(int(n) for n in item.shape[::-1])
            yield name, (int(item.size), int(first.size)) if first is not None and rows else across
            return
        for number, reference in enumerate(item[()].T.ravel(order="F"), start=1):
            yield from _leaves(file, f"{name}{{{number}}}", file[reference], matlab=matlab)
    elif matlab and _is_chars(item):
        yield name, (int(item.shape[-1]),) if item.ndim > 1 else (1,)
    else:
        yield name, tuple(int(n) for n in (item.shape[::-1] if matlab else item.shape))


def _item(file: Any, name: str) -> Any:
    """The item at ``name``, through the cells that it counts."""
    if name in file:
        return file[name]
    start, _, rest = name.partition("{")
    number, _, inner = rest.partition("}")
    item = file[file[start][()].T.ravel(order="F")[int(number) - 1]]
    return _inside(file, item, inner)


def _inside(file: Any, item: Any, rest: str) -> Any:
    if rest.startswith("/"):
        return item[rest[1:]]
    if rest.startswith("{"):
        return file[item[()].T.ravel(order="F")[int(rest[1:-1]) - 1]]
    return item


def _is_cells(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset) and h5py.check_ref_dtype(item.dtype) is not None


def _is_chars(item: Any) -> bool:
    return bytes(item.attrs.get("MATLAB_class", b"")) == b"char"


def _is_text(file: Any, item: Any) -> bool:
    """Whether a cell holds characters; those that h5py wrote lack MATLAB's mark, and are of 16 bits."""
    if _is_cells(item):
        return item.size > 0 and _is_text(file, file[item[()].flat[0]])
    plain = "MATLAB_class" not in item.attrs and getattr(item, "dtype", None) == np.uint16
    return _is_chars(item) or plain or _is_strings(item)


def _is_strings(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype) is not None


def _are_rows(file: Any, item: Any) -> bool:
    """Whether a cell array holds one vector of equal length for each item."""
    shapes = {getattr(file[reference], "shape", None) for reference in item[()].flat}
    only = next(iter(shapes)) if len(shapes) == 1 else None
    return only is not None and len(only) > 0 and max(only) == np.prod(only)


def _row(item: Any) -> Array | None:
    """A cell that holds a vector, perhaps an empty one; None for another cell."""
    if "MATLAB_empty" in item.attrs:
        return np.zeros(0)
    shape = getattr(item, "shape", ())
    vector = (
        getattr(item, "dtype", None) is not None and item.dtype.kind in "biuf" and max(shape) == item.size
    )
    return np.asarray(item[()]).ravel() if vector else None


def _of_cells(file: Any, item: Any) -> Array:
    """The strings of a cell array, or its rows as a matrix."""
    references = item[()].T
    cells = [file[reference] for reference in references.flat]
    if cells and _is_text(file, cells[0]):
        return text_array([_joined(file, cell) for cell in cells], references.shape)
    return np.stack([np.asarray(cell[()]).ravel() for cell in cells])


def _joined(file: Any, cell: Any) -> str:
    if _is_cells(cell):
        return " ".join(filter(None, (_joined(file, file[r]) for r in cell[()].T.flat)))
    if "MATLAB_empty" in cell.attrs:
        return ""
    if _is_strings(cell):
        return " ".join(str(value) for value in np.atleast_1d(cell.asstr()[()]).flat)
    return "".join(map(chr, np.asarray(cell[()]).T.ravel())).strip()


def _chars(item: Any) -> Array:
    """A char matrix: one string for each row."""
    rows = np.atleast_2d(np.asarray(item[()]).T)
    return text_array(["".join(map(chr, row)).strip() for row in rows], (len(rows),))


def _values(item: Any) -> Array:
    if _is_strings(item):
        values = np.asarray(item.asstr()[()], dtype=object)
        return text_array(list(values.flat), values.shape)
    return np.asarray(item[()])


def _sparse(item: Any) -> Array:
    import scipy.sparse

    rows, ends = int(item.attrs["MATLAB_sparse"]), item["jc"][()]
    if "data" not in item:  # MATLAB writes neither data nor ir for a matrix of zeros
        return np.zeros((rows, len(ends) - 1), np.float32)
    parts = (item["data"][()].astype(np.float32), item["ir"][()], ends)
    return np.asarray(scipy.sparse.csc_array(parts, shape=(rows, len(ends) - 1)).toarray())


def _stream(path: Path, name: str, shape: Shape, *, matlab: bool) -> Features | None:
    import h5py

    with h5py.File(path, "r") as file:
        item = file.get(name)
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf":
            return None
        return matrix_of(shape, _runs(item), transposed=matlab)


def _runs(item: Any) -> Iterator[Array]:
    """Runs of rows of a dataset: entire chunks where they fit, since a part costs as much as all."""
    rows = max(1, variable.STEP // max(1, item.shape[1]))
    chunk = item.chunks[0] if item.chunks else 1
    step = max(chunk, rows // chunk * chunk) if chunk * item.shape[1] <= 4 * variable.STEP else rows
    for start in range(0, len(item), step):
        yield item[start : start + step]
