"""NumPy's .npy, read through a memory map, and .npz, scipy's sparse matrices among them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bench.api import DataError, Features, blocks
from bench.datasets._reading.variable import Array, Shape, matrix_of

SPARSE = {"format", "shape", "data"}  # entries of every file of scipy.sparse.save_npz


def npy_shapes(path: Path) -> dict[str, Shape]:
    with path.open("rb") as stream:
        return {path.stem: _described(stream)[0]}


def npz_shapes(path: Path) -> dict[str, Shape]:
    """A file of scipy.sparse.save_npz holds one matrix, named like the file."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            with archive.open(entry) as stream:
                shapes[entry.removesuffix(".npy")] = _described(stream)[0]  # type: ignore[arg-type]
    if not _is_sparse(shapes):
        return shapes
    with np.load(path, allow_pickle=False) as stored:
        rows, columns = stored["shape"]
        return {path.stem: (int(rows), int(columns))}


def npy_read(path: Path, name: str) -> Array:
    with path.open("rb") as stream:
        shape, dtype = _described(stream)
    if dtype.hasobject:
        raise objects(path, name, shape)
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def npy_stream(path: Path, name: str, shape: Shape) -> Features | None:
    """The map itself if it holds float32 row by row; else a converted copy."""
    array = npy_read(path, name)
    if array.dtype.kind not in "biuf":
        return None
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return array
    by_columns = not array.flags.c_contiguous
    return matrix_of(shape, blocks(array.T if by_columns else array), transposed=by_columns)


def npz_read(path: Path, name: str) -> Array:
    import scipy.sparse

    shapes = npz_shapes(path)
    with np.load(path, allow_pickle=False) as stored:
        if _is_sparse(dict.fromkeys(stored.files, ())):
            return np.asarray(scipy.sparse.load_npz(path).astype(np.float32).toarray())
        try:
            array: Array = stored[name]
        except ValueError as error:
            if "pickle" in str(error):
                raise objects(path, name, shapes[name]) from error
            raise
    return array


def objects(path: Path, name: str, shape: Shape) -> DataError:
    """The error for an array of Python objects, with the lines that save it as numbers."""
    archive = path.suffix.lower() == ".npz"
    loaded = f"np.load('{path.name}', allow_pickle=True)" + (f"['{name}']" if archive else "")
    if shape == ():
        fix = (
            f"np.savez('{path.stem}_numbers.npz', **{loaded}.item()) for a dictionary, or "
            f"scipy.sparse.save_npz('{name}.npz', {loaded}.item()) for a sparse matrix"
        )
    elif len(shape) == 1:
        fix = (
            f"np.save('{name}.npy', np.stack({loaded}).astype(np.float32)); for lists of classes "
            f"np.save('{name}.npy', sklearn.preprocessing.MultiLabelBinarizer().fit_transform({loaded}))"
        )
    else:
        fix = f"np.save('{name}.npy', {loaded}.astype(np.float32))"
    return DataError(
        f"{path}, variable {name}: is an array of Python objects (dtype object) of shape {shape}; expected "
        "numbers, since objects can only be unpickled, which may run code. If you trust the file, save its "
        f"numbers: import numpy as np; {fix}"
    )


def _is_sparse(names: Any) -> bool:
    return set(names) >= SPARSE


def _described(stream: BinaryIO) -> tuple[Shape, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
