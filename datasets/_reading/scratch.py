"""Matrices that are too large for memory, in files until the harness has cached them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from bench.api import DataError, Features, scratch_folder

Parts = Iterable[npt.NDArray[Any]]  # runs of rows of a matrix, in order
_numbers = count()  # of the files with a name


def written(shape: tuple[int, int], parts: Parts) -> Features:
    """A float32 matrix of ``shape``, mapped from a file that ends with the matrix.

    The file lies in the harness's scratch folder, or has no name and lies in the temporary folder. Raises
    DataError where there is no space.
    """
    with _room(shape), _file() as file:
        _require(4 * shape[0] * shape[1])
        start = _begin(file, shape, np.dtype(np.float32))
        for part in parts:
            file.write(np.ascontiguousarray(part, np.float32).data)
        return np.memmap(file, dtype=np.float32, mode="r", offset=start, shape=shape)


def together(n: int, parts: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Several matrices of ``n`` rows from runs of rows of each, mapped as :func:`written` maps one."""
    with ExitStack() as stack, _room((n,)):
        files: dict[str, IO[bytes]] = {}
        starts: dict[str, int] = {}
        last: Mapping[str, npt.NDArray[Any]] = {}
        for last in parts:
            if not files:
                _require(n * sum(part.nbytes // len(part) for part in last.values()))
            for name, part in last.items():
                if name not in files:
                    files[name] = stack.enter_context(_file())
                    starts[name] = _begin(files[name], (n, *part.shape[1:]), part.dtype)
                files[name].write(np.ascontiguousarray(part).data)
        return {
            name: np.memmap(file, last[name].dtype, "r", starts[name], (n, *last[name].shape[1:]))
            for name, file in files.items()
        }


def transposed(shape: tuple[int, int], parts: Parts, values: int) -> Features:
    """The same from the rows of its transpose, ``values`` at a time in memory."""
    with _room(shape), tempfile.TemporaryFile(dir=scratch_folder(), buffering=0) as file:
        _require(8 * shape[0] * shape[1])
        for part in parts:
            file.write(np.ascontiguousarray(part, np.float32).data)
        return written(shape, _columns(file, *shape, values))


def _file() -> IO[bytes]:
    """A new file: with a name, by which the harness can keep it, in the harness's folder alone."""
    folder = scratch_folder()
    if folder is None:
        return tempfile.TemporaryFile(buffering=0)
    return (folder / f"{next(_numbers)}.npy").open("x+b", buffering=0)


def _begin(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Write what precedes the matrix in an .npy file, and return its length."""
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.tell()


def _place() -> Path:
    return scratch_folder() or Path(tempfile.gettempdir())


def _require(size: int) -> None:
    """Raise OSError now and not when the folder is full, which others use too."""
    if size > shutil.disk_usage(_place()).free:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.0f} GB are needed")


@contextmanager
def _room(shape: tuple[int, ...]) -> Iterator[None]:
    """Raise DataError where the folder has no space for a matrix, or several of as many rows."""
    try:
        yield
    except OSError as error:
        needed = f"{shape[0]} rows of " + (f"{shape[1]} columns" if shape[1:] else "several matrices")
        raise DataError(
            f"temporary folder {_place()}: cannot hold {needed} ({error.strerror or error}). "
            f"Set {'BENCH_CACHE' if scratch_folder() else 'TMPDIR'} to a folder with enough space."
        ) from error


def _columns(file: Any, n: int, d: int, values: int) -> Iterator[Features]:
    """The rows of an (n, d) matrix whose d columns lie in ``file`` one after another.

    They are read, not mapped: the system maps pages in groups, which here would be the entire file.
    """
    step = max(1, values // max(1, d))
    for start in range(0, n, step):
        block = np.empty((d, min(step, n - start)), np.float32)
        for column, part in enumerate(block):
            file.seek(4 * (column * n + start))
            file.readinto(part)
        yield block.T
