"""Reads arrays from .npy, .npz, .h5 and .mat files (MATLAB v4 to v7.3), and never runs code from them.

Trap: MATLAB stores a v7.3 matrix by columns, so HDF5 shows it transposed; it is turned back here.
An .h5 does not come from MATLAB, and keeps its axes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bench.api import DataError

Array = npt.NDArray[Any]
SUFFIXES = (".npy", ".npz", ".mat", ".h5", ".hdf5")
STEP = 1 << 24  # values of an HDF5 matrix that are converted at a time


@dataclass(frozen=True, slots=True)
class Variable:
    """The name and shape of one array in a file; :meth:`read` loads it."""

    path: Path
    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} of {self.path.name}"

    def read(self) -> Array:
        """The array, dense and in MATLAB's orientation; :class:`DataError` if it cannot be read."""
        with _reading(self.path, self.name):
            array = _READ[_kind(self.path)](self.path, self.name)
        if array.dtype.kind not in "biufU":
            raise DataError(
                f"{self.path}: variable {self.name} holds {array.dtype} values; expected a matrix of "
                "numbers. Save it as one."
            )
        return array

    def stream(self) -> npt.NDArray[np.float32] | None:
        """A matrix of numbers in HDF5 as float32, converted block by block; None for anything else."""
        if len(self.shape) != 2 or not is_hdf5(self.path):
            return None
        with _reading(self.path, self.name):
            return _hdf5_stream(self.path, self.name, self.shape)


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A matrix stored as CSR parts: ``x_indptr``, ``x_indices`` and, unless all are 1, ``x_data``."""

    path: Path
    name: str
    shape: tuple[int, ...]
    parts: Mapping[str, Variable]

    def __str__(self) -> str:
        return f"{self.name} of {self.path.name}"

    def read(self) -> Array:
        """The dense matrix, float32 of ``shape``."""
        indptr = self.parts["indptr"].read().ravel()
        indices = self.parts["indices"].read().ravel()
        ends_well = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == len(indices)
        if not ends_well or (np.diff(indptr) < 0).any():
            raise DataError(
                f"{self.path}: {self.name}_indptr must rise from 0 to the {len(indices)} entries of "
                f"{self.name}_indices. Save the parts of one CSR matrix, as scipy.sparse has them."
            )
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self.shape[1]:
            raise DataError(
                f"{self.path}: {self.name}_indices runs from {indices.min()} to {indices.max()}; expected "
                f"columns 0 to {self.shape[1] - 1}. Count columns from 0."
            )
        values = self.parts["data"].read().ravel() if "data" in self.parts else np.ones(len(indices))
        if len(values) != len(indices):
            raise DataError(
                f"{self.path}: {self.name}_data has {len(values)} values and {self.name}_indices "
                f"{len(indices)}; expected equal numbers. Save the parts of one CSR matrix."
            )
        dense = np.zeros(self.shape, np.float32)
        np.add.at(dense, (np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices), values)
        return dense


AnyVariable = Variable | SparseRows


def strings(variable: AnyVariable) -> list[str]:
    """The rows of a char matrix or cell array; the strings of one row are joined by spaces."""
    import scipy.io

    with _reading(variable.path, variable.name):
        stored = scipy.io.loadmat(variable.path, variable_names=[variable.name])[variable.name]
    rows = stored.reshape(-1) if stored.ndim < 2 or 1 in stored.shape else list(stored)
    return [" ".join(_parts(row)) for row in rows]


def _parts(cell: Any) -> list[str]:
    if isinstance(cell, np.ndarray):
        return [part for inner in cell.reshape(-1) for part in _parts(inner)]
    return [str(cell).strip()]


def variables(path: Path) -> dict[str, AnyVariable]:
    """The arrays of a file, or of all files in a folder, by name; reads only headers.

    An .npy file holds one array, named like the file. In a folder each array is also called
    ``file/name``, and has its bare name only if no other file uses it.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file or folder; expected a folder of .npy files, an .npz or a .mat. "
            "Give the path relative to --data-root, or an absolute one."
        )
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: cannot read this kind of file; expected {', '.join(SUFFIXES)}. Convert it.")
    with _reading(path):
        shapes = _SHAPES[_kind(path)](path)
    dense: dict[str, AnyVariable] = {name: Variable(path, name, shape) for name, shape in shapes.items()}
    return {**dense, **_sparse(path, dense)}


def data_files(folder: Path) -> list[Path]:
    """The files of a folder that hold arrays or, if it has none, those of its subfolders."""

    def among(paths: Iterable[Path]) -> list[Path]:
        return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and p.is_file())

    return among(folder.iterdir()) or among(folder.glob("*/*"))


def _of_folder(folder: Path) -> dict[str, AnyVariable]:
    files = data_files(folder)
    if not files:
        raise DataError(f"{folder}: holds no data files; expected {', '.join(SUFFIXES)}. Put them there.")
    by_file = {file: variables(file) for file in files}
    together = [name for named in by_file.values() for name in named]
    bare = {n: v for named in by_file.values() for n, v in named.items() if together.count(n) == 1}
    bare.update(_sparse(folder, {n: v for n, v in bare.items() if isinstance(v, Variable)}))
    qualified = {f"{file.name}/{n}": v for file, named in by_file.items() for n, v in named.items()}
    return {**qualified, **bare}


def _sparse(path: Path, named: Mapping[str, AnyVariable]) -> dict[str, AnyVariable]:
    """The matrices whose CSR parts are among ``named``; as wide as their vocabulary, if that is known."""
    sparse: dict[str, AnyVariable] = {}
    for name in (n.removesuffix("_indptr") for n in named if n.endswith("_indptr")):
        parts = {p: named.get(f"{name}_{p}") for p in ("indptr", "indices", "data")}
        plain = {p: v for p, v in parts.items() if isinstance(v, Variable)}
        if name in named or "indices" not in plain:
            continue
        vocabulary = named.get(f"{name}_vocab")
        if vocabulary is not None:
            width = int(np.prod(vocabulary.shape))
        else:
            width = int(plain["indices"].read().max(initial=-1)) + 1
        rows = int(np.prod(plain["indptr"].shape)) - 1
        sparse[name] = SparseRows(plain["indptr"].path if path.is_dir() else path, name, (rows, width), plain)
    return sparse


@contextmanager
def _reading(path: Path, name: str = "") -> Iterator[None]:
    """Turn any error that a damaged file causes in its reader into a one-line :class:`DataError`."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # numpy, scipy and h5py raise a dozen types on damaged files
        where = f", variable {name}" if name else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}{where}: cannot be read ({reason}); expected a complete {path.suffix} file of numbers. "
            "It may be truncated: copy or download it again."
        ) from error


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        return ".h5"
    return ".mat v7.3" if suffix == ".mat" and is_hdf5(path) else suffix


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5: an .h5, or a .mat of v7.3."""
    if path.suffix.lower() not in (".mat", ".h5", ".hdf5"):
        return False
    import h5py

    return bool(h5py.is_hdf5(path))


def _npy_header(stream: BinaryIO) -> tuple[int, ...]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape: tuple[int, ...] = read(stream)[0]
    return shape


def _npy_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as stream:
        return {path.stem: _npy_header(stream)}


def _npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            with archive.open(entry) as stream:
                shapes[entry.removesuffix(".npy")] = _npy_header(stream)  # type: ignore[arg-type]
    return shapes


def _npy_read(path: Path, _: str) -> Array:
    array: Array = np.load(path, allow_pickle=False)
    return array


def _npz_read(path: Path, name: str) -> Array:
    with np.load(path, allow_pickle=False) as stored:
        array: Array = stored[name]
    return array


def _check_complete(path: Path) -> None:
    """Follow the lengths of the variables in a v5 file to its end.

    scipy stops silently where the next variable should begin, so a bundle truncated there would
    pass for one without queries.
    """
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


def _mat_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    import scipy.io

    _check_complete(path)
    return {name: tuple(shape) for name, shape, _ in scipy.io.whosmat(path)}


def _mat_read(path: Path, name: str) -> Array:
    import scipy.io
    import scipy.sparse

    value = scipy.io.loadmat(path, variable_names=[name])[name]
    if scipy.sparse.issparse(value):
        value = value.astype(np.float32).toarray()
    return np.asarray(value)


def _hdf5_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = tuple(int(s) for s in item.shape[::-1])
        elif "MATLAB_sparse" in item.attrs:
            shapes[name] = (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    inner = [n for n in shapes if n.rpartition("/")[0] in shapes or n.startswith("#")]  # of sparse, of cells
    return {name: shape for name, shape in shapes.items() if name not in inner}


def _h5_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    return {name: shape[::-1] for name, shape in _hdf5_shapes(path).items()}


def _hdf5_read(path: Path, name: str) -> Array:
    import h5py
    import scipy.sparse

    with h5py.File(path, "r") as file:
        item = file[name]
        if isinstance(item, h5py.Dataset):
            return np.asarray(item[()]).T
        rows, ends = int(item.attrs["MATLAB_sparse"]), item["jc"][()]
        if "data" not in item:  # MATLAB writes neither data nor ir for a matrix of zeros
            return np.zeros((rows, len(ends) - 1), np.float32)
        parts = (item["data"][()].astype(np.float32), item["ir"][()], ends)
        return np.asarray(scipy.sparse.csc_array(parts, shape=(rows, len(ends) - 1)).toarray())


def _h5_read(path: Path, name: str) -> Array:
    import h5py

    with h5py.File(path, "r") as file:
        item = file[name]
        strings = h5py.check_string_dtype(item.dtype) is not None
        return np.asarray(item.asstr()[()].astype(str) if strings else item[()])


def _hdf5_stream(path: Path, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
    import h5py

    with h5py.File(path, "r") as file:
        item = file[name]
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf":
            return None
        matrix = np.empty(shape, np.float32)
        stored = matrix.T if _kind(path) == ".mat v7.3" else matrix  # with its axes as in the file
        step = max(1, STEP // max(1, stored.shape[1]))
        for start in range(0, len(stored), step):
            stored[start : start + step] = item[start : start + step]
    return matrix


_SHAPES = {
    ".npy": _npy_shapes,
    ".npz": _npz_shapes,
    ".mat": _mat_shapes,
    ".mat v7.3": _hdf5_shapes,
    ".h5": _h5_shapes,
}
_READ = {
    ".npy": _npy_read,
    ".npz": _npz_read,
    ".mat": _mat_read,
    ".mat v7.3": _hdf5_read,
    ".h5": _h5_read,
}
