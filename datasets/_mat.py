"""Reads arrays from .npy, .npz and .mat files (MATLAB v4 to v7.3) and never runs what is in them.

Trap: MATLAB stores a v7.3 matrix by columns, so HDF5 shows it transposed; it is turned back here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bench.errors import DataError

Array = npt.NDArray[Any]
SUFFIXES = (".npy", ".npz", ".mat")


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a file, known by its name and shape; :meth:`read` fetches it."""

    path: Path
    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} of {self.path.name}"

    def read(self) -> Array:
        """The array, dense and in MATLAB's orientation; a :class:`DataError` if it cannot be had."""
        with _reading(self.path, self.name):
            array = _READ[_kind(self.path)](self.path, self.name)
        if array.dtype.kind not in "biufU":
            raise DataError(
                f"{self.path}: variable {self.name} holds {array.dtype} values; expected a matrix of "
                "numbers. Save it as one."
            )
        return array


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A matrix kept as CSR parts: ``x_indptr``, ``x_indices`` and, where not all ones, ``x_data``."""

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
                f"{len(indices)}; expected as many. Save the parts of one CSR matrix."
            )
        dense = np.zeros(self.shape, np.float32)
        np.add.at(dense, (np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices), values)
        return dense


AnyVariable = Variable | SparseRows


def variables(path: Path) -> dict[str, AnyVariable]:
    """The arrays of a file, or of all files of a folder, by name; only headers are read.

    An .npy file holds one array, named like the file. In a folder each array is also known as
    ``file/name``, and by its bare name only where no other file has the same.
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
    found: dict[str, AnyVariable] = {name: Variable(path, name, shape) for name, shape in shapes.items()}
    return {**found, **_sparse(path, found)}


def _of_folder(folder: Path) -> dict[str, AnyVariable]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: no data files; expected some of {', '.join(SUFFIXES)}. Put them there.")
    by_file = {file: variables(file) for file in files}
    together = [name for found in by_file.values() for name in found]
    bare = {n: v for found in by_file.values() for n, v in found.items() if together.count(n) == 1}
    bare.update(_sparse(folder, {n: v for n, v in bare.items() if isinstance(v, Variable)}))
    qualified = {f"{file.name}/{n}": v for file, found in by_file.items() for n, v in found.items()}
    return {**qualified, **bare}


def _sparse(path: Path, found: Mapping[str, AnyVariable]) -> dict[str, AnyVariable]:
    """The matrices whose CSR parts are among ``found``; as wide as their vocabulary, if there is one."""
    sparse: dict[str, AnyVariable] = {}
    for name in (n.removesuffix("_indptr") for n in found if n.endswith("_indptr")):
        parts = {p: found.get(f"{name}_{p}") for p in ("indptr", "indices", "data")}
        plain = {p: v for p, v in parts.items() if isinstance(v, Variable)}
        if name in found or "indices" not in plain:
            continue
        vocabulary = found.get(f"{name}_vocab")
        if vocabulary is not None:
            width = int(np.prod(vocabulary.shape))
        else:
            width = int(plain["indices"].read().max(initial=-1)) + 1
        rows = int(np.prod(plain["indptr"].shape)) - 1
        sparse[name] = SparseRows(plain["indptr"].path if path.is_dir() else path, name, (rows, width), plain)
    return sparse


@contextmanager
def _reading(path: Path, name: str = "") -> Iterator[None]:
    """Turn whatever a damaged file makes its reader raise into a one-line :class:`DataError`."""
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
    if path.suffix.lower() != ".mat":
        return path.suffix.lower()
    import h5py

    return ".mat v7.3" if h5py.is_hdf5(path) else ".mat"


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
    """Follow the lengths of the variables of a v5 file to its end.

    scipy stops without a word where the next variable should begin, so a bundle cut there would
    pass for one without queries.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        mark = stream.read(128)[126:]
        if mark not in (b"IM", b"MI"):
            return  # v4, which has no header; or not a .mat at all, which scipy will say
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

    shapes = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if isinstance(item, h5py.Dataset):
                shapes[name] = tuple(int(s) for s in item.shape[::-1])
            elif "MATLAB_sparse" in item.attrs:
                shapes[name] = (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1)
    return shapes


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


_SHAPES = {".npy": _npy_shapes, ".npz": _npz_shapes, ".mat": _mat_shapes, ".mat v7.3": _hdf5_shapes}
_READ = {".npy": _npy_read, ".npz": _npz_read, ".mat": _mat_read, ".mat v7.3": _hdf5_read}
