"""The .npz beside a record: arrays by name, read from the file when they are asked for."""

from __future__ import annotations

import io
import math
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib  # inflates in half of zlib's time

from bench.disk.reading import read_bytes
from bench.errors import FileError, StoreError

_LENGTHS = 26  # in the header of a file in a .zip: the lengths of its name and of what follows it
_ENCRYPTED = 1
_UNREADABLE: tuple[type[Exception], ...] = (  # type: ignore[assignment, unused-ignore]
    FileError,
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    struct.error,
    NotImplementedError,
    zipfile.BadZipFile,
    isal_zlib.error,  # declared as an exception, not as its class
)


class Arrays(Mapping[str, npt.NDArray[Any]]):
    """The arrays in ``path``, or in ``content``, its bytes; each is inflated when it is read.

    Raises StoreError for a file, and on access for an entry, that cannot be read.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self._path = path
        try:
            self._content = read_bytes(path, sys.maxsize - 1) if content is None else content
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                self._entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        entry = self._entries[name]
        try:
            return _array(_inflated(self._content, entry))
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _unreadable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._path}: cannot read its arrays ({error}). Delete it and run the cell again."
        )


def _inflated(content: bytes, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of one file in a .zip, in less than half the time of :meth:`zipfile.ZipFile.read`."""
    names = struct.unpack_from("<HH", content, entry.header_offset + _LENGTHS)
    start = entry.header_offset + _LENGTHS + 4 + sum(names)
    data = memoryview(content)[start : start + entry.compress_size]
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is encrypted or compressed in another way")
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        inflated: bytes = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS).decompress(data, entry.file_size + 1)
    else:
        inflated = bytes(data)
    if len(inflated) != entry.file_size or isal_zlib.crc32(inflated) != entry.CRC:
        raise ValueError(f"{entry.filename} is damaged")
    return inflated


def _array(data: bytes) -> npt.NDArray[Any]:
    """The array in the bytes of an .npy file."""
    if data[:8] != np.lib.format.magic(1, 0):
        raise ValueError("an entry is no .npy file of version 1.0")
    size = 10 + int.from_bytes(data[8:10], "little")
    shape, fortran, dtype = _header(data[8:size])
    return np.frombuffer(data, dtype, math.prod(shape), size).reshape(shape, order="F" if fortran else "C")


@lru_cache(maxsize=1024)
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type. Numpy takes as long to read them as the array; a study has the same few."""
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(data))
    if dtype.hasobject:
        raise ValueError("an entry holds objects of Python; expected numbers")
    return shape, fortran, dtype


def packed(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of the .npz: the same for equal arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
