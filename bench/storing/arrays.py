"""The .npz beside a record: arrays by name, read from the file when they are asked for."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import StoreError

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


class Arrays(Mapping[str, npt.NDArray[Any]]):
    """The arrays in ``path``, or in ``content``, its bytes. A broken entry is found only when it is read.

    Raises StoreError for a file, and on access for an entry, that cannot be read.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self._path = path
        source = path if content is None else io.BytesIO(content)
        try:
            if not zipfile.is_zipfile(source):  # numpy would leave it open
                raise ValueError("the file is cut short or no .npz")
            self._loaded = np.load(source, allow_pickle=False)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self:
            raise KeyError(name)
        try:
            array: npt.NDArray[Any] = self._loaded[name]
            return array
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def __contains__(self, name: object) -> bool:
        return name in self._loaded.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded.files)

    def __len__(self) -> int:
        return len(self._loaded.files)

    def _unreadable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._path}: cannot read its arrays ({error}). Delete it and run the cell again."
        )


def packed(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of the .npz: the same for equal arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
