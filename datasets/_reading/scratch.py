"""Matrices that are too large for memory, in a temporary file until the harness has cached them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from bench.api import DataError, Features

Parts = Iterable[npt.NDArray[Any]]  # runs of rows of a matrix, in order


def written(shape: tuple[int, int], parts: Parts) -> Features:
    """A float32 matrix of ``shape``, mapped from a file that has no name and ends with the matrix.

    Raises DataError where the temporary folder has no space.
    """
    with _file(shape, parts) as file:
        return np.memmap(file, dtype=np.float32, mode="r", shape=shape)


def together(n: int, parts: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Several matrices of ``n`` rows from runs of rows of each, mapped as :func:`written` maps one."""
    with ExitStack() as stack, _room(f"{n} rows of several matrices"):
        files: dict[str, IO[bytes]] = {}
        last: Mapping[str, npt.NDArray[Any]] = {}
        for last in parts:
            if not files:
                _require(n * sum(part.nbytes // len(part) for part in last.values()))
            for name, part in last.items():
                if name not in files:
                    files[name] = stack.enter_context(tempfile.TemporaryFile(buffering=0))
                files[name].write(np.ascontiguousarray(part).data)
        return {
            name: np.memmap(file, dtype=last[name].dtype, mode="r", shape=(n, *last[name].shape[1:]))
            for name, file in files.items()
        }


def transposed(shape: tuple[int, int], parts: Parts, values: int) -> Features:
    """The same from the rows of its transpose, ``values`` at a time in memory."""
    with _file(shape, parts) as file:
        return written(shape, _columns(file, *shape, values))


@contextmanager
def _file(shape: tuple[int, int], parts: Parts) -> Iterator[IO[bytes]]:
    """A file with all rows."""
    with _room(f"{shape[0]} rows of {shape[1]} columns"), tempfile.TemporaryFile(buffering=0) as file:
        _require(4 * shape[0] * shape[1])
        for part in parts:
            file.write(np.ascontiguousarray(part, np.float32).data)
        yield file


def _require(size: int) -> None:
    """Raise OSError now and not when the folder is full, which others use too."""
    if size > shutil.disk_usage(tempfile.gettempdir()).free:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.0f} GB are needed")


@contextmanager
def _room(needed: str) -> Iterator[None]:
    """Raise DataError where the temporary folder has no space for what is ``needed``."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"temporary folder {tempfile.gettempdir()}: cannot hold {needed} ({error.strerror or error}). "
            "Set TMPDIR to a folder with enough space."
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
