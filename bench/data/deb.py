"""Opens the files of a Debian package: an ar archive whose member ``data.tar.*`` is a compressed tar.

Trap: compressed tars seek back to their beginning, so the member must look like a file of its own.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.errors import DataError

MAGIC = b"!<arch>\n"
HEADER = 60  # bytes: name 16, date 12, owner 6, group 6, mode 8, size 10, end mark 2


def is_deb(path: Path) -> bool:
    """Whether a file begins as an ar archive."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open the tar of a package's files, whose compression tarfile recognises."""
    with (
        path.open("rb") as file,
        io.BufferedReader(_Part(file, *_data(path, file))) as part,
        tarfile.open(fileobj=part) as taped,
    ):
        yield taped


def _data(path: Path, file: BinaryIO) -> tuple[int, int]:
    """Offset and size of the member ``data.tar.*``."""
    file.seek(len(MAGIC))
    while header := file.read(HEADER):
        digits = header[48:58].strip()
        if header[58:] != b"`\n" or not digits.isdigit():
            break
        if header[:16].startswith(b"data.tar"):
            return file.tell(), int(digits)
        file.seek(int(digits) + int(digits) % 2, os.SEEK_CUR)  # members begin at even offsets
    raise DataError(f"{path}: has no member data.tar; expected a Debian package. Download it again.")


class _Part(io.RawIOBase):
    """Bytes ``start`` to ``start + size`` of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.size, self.position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def read(self, size: int = -1, /) -> bytes:
        left = max(self.size - self.position, 0)
        self.file.seek(self.start + self.position)
        stored = self.file.read(left if size < 0 else min(size, left))
        self.position += len(stored)
        return stored

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        stored = self.read(len(buffer))
        buffer[: len(stored)] = stored
        return len(stored)
