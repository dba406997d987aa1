"""One array of a file by name and shape, read only when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import DataError, Features
from bench.datasets._reading import scratch

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
STEP = 1 << 22  # values of a matrix that are converted at a time; a smaller one is held in memory


@dataclass(frozen=True, slots=True)
class Container:
    """How one kind of file is read.

    ``read`` returns numbers, an object array of ``str``, or one of vectors of different lengths
    (:func:`ragged`).
    """

    name: str
    shapes: Callable[[Path], dict[str, Shape]]  # of all arrays, from headers where the format has them
    read: Callable[[Path, str], Array]
    stream: Callable[[Path, str, Shape], Features | None] | None = None  # float32, block by block
    counts_from: int = 0  # the number of the first row in an index: MATLAB counts from 1


@dataclass(frozen=True, slots=True)
class Variable:
    """The name and shape of one array in a file; :meth:`read` loads it."""

    path: Path
    name: str
    shape: Shape
    container: Container = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name} of {self.path.name}"

    @property
    def counts_from(self) -> int:
        return self.container.counts_from

    def read(self) -> Array:
        """The array, dense and in MATLAB's orientation; :class:`DataError` if it cannot be read."""
        with reading(self.path, self.name):
            array = self.container.read(self.path, self.name)
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if array.dtype.kind not in "biufUO":
            raise DataError(f"{self.path}, variable {self.name}: {_strange(array.dtype)}")
        return array

    def stream(self) -> Features | None:
        """A matrix of numbers as float32, converted block by block; None if the container cannot do that."""
        if len(self.shape) != 2 or self.container.stream is None:
            return None
        with reading(self.path, self.name):
            return self.container.stream(self.path, self.name, self.shape)


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A matrix stored as CSR parts: ``x_indptr``, ``x_indices`` and, unless all are 1, ``x_data``."""

    path: Path
    name: str
    shape: Shape
    parts: Mapping[str, Variable]

    def __str__(self) -> str:
        return f"{self.name} of {self.path.name}"

    @property
    def counts_from(self) -> int:
        return 0

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
    """The rows of a char matrix, cell array or text file; the strings of one row are joined by spaces."""
    stored = variable.read()
    rows = stored.reshape(-1) if stored.ndim < 2 or 1 in stored.shape else list(stored)
    return [" ".join(str(part).strip() for part in np.atleast_1d(row)) for row in rows]


def text_array(values: list[str], shape: Shape) -> Array:
    """Strings as an object array, which takes no more memory than the longest of them."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def ragged(array: Array) -> bool:
    """Whether the array holds vectors of different lengths, such as the class numbers of each item."""
    return array.dtype == object and array.size > 0 and not any(isinstance(one, str) for one in array.flat)


def vectors(values: Sequence[Any]) -> Array:
    """Vectors of different lengths as an object array."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = np.asarray(value).ravel()
    return array


def _strange(kind: np.dtype[Any]) -> str:
    """The end of a message about values that are neither real numbers nor text."""
    if kind.kind == "c":
        return f"holds complex numbers ({kind}); expected real ones. Save x.real, or np.abs(x)."
    if kind.names:
        return (
            f"holds records with the fields {', '.join(kind.names)}; expected a matrix of numbers. Save one "
            f"field: x[{kind.names[0]!r}]."
        )
    return f"holds {kind} values; expected a matrix of numbers. Save it as one."


def matrix_of(shape: Shape, parts: Iterable[Array], *, transposed: bool = False) -> Features:
    """A matrix of ``shape`` as float32, from runs of rows of its stored form, which may be ``transposed``.

    One of more than ``STEP`` values lies in a temporary file.
    """
    rows, columns = shape
    if rows * columns > STEP:
        size = rows, columns
        return scratch.transposed(size, parts, STEP) if transposed else scratch.written(size, parts)
    matrix, start = np.empty(shape, np.float32), 0
    stored = matrix.T if transposed else matrix
    for part in parts:
        stored[start : start + len(part)] = part
        start += len(part)
    return matrix


@contextmanager
def reading(path: Path, name: str = "") -> Iterator[None]:
    """Turn any error that a damaged file causes in its reader into a one-line :class:`DataError`."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # numpy, scipy, h5py, pyarrow and torch raise dozens of types
        where = f", variable {name}" if name else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}{where}: cannot be read ({reason}); expected a complete {path.suffix} file of numbers. "
            "It may be truncated: copy or download it again."
        ) from error
