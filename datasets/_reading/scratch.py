"""Matrices that are too large for memory, in a temporary file until the harness has cached them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import DataError, Features


def written(shape: tuple[int, int], parts: Iterable[npt.NDArray[Any]]) -> Features:
    """A float32 matrix of ``shape``, mapped from a file that has no name and ends with the matrix.

    ``parts`` are runs of its rows in order. Raises DataError where the temporary folder has no space.
    """
    try:
        with tempfile.TemporaryFile() as file:
            for part in parts:
                file.write(np.ascontiguousarray(part, np.float32).data)
            file.flush()
            return np.memmap(file, dtype=np.float32, mode="r", shape=shape)
    except OSError as error:
        raise DataError(
            f"temporary folder {tempfile.gettempdir()}: cannot hold {shape[0]} rows of {shape[1]} columns "
            f"({error.strerror or error}). Set TMPDIR to a folder with enough space."
        ) from error
