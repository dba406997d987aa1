"""Whether a file is still as it was written: by its size and time, and by its digest where they changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.errors import FileError

BLOCK = 1 << 24  # bytes that are hashed together


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's size, its time (``st_mtime_ns``) and the digest of its content."""

    bytes: int
    changed: int
    digest: str


def stamp(path: Path) -> Stamp:
    """The stamp of a file, which is read for it; raises FileError."""
    try:
        status = path.stat()  # before it is read: a change meanwhile is noticed next time
        return Stamp(status.st_size, status.st_mtime_ns, digest(path))
    except OSError as error:
        raise FileError(path, f"it cannot be read: {error.strerror or error}") from error


def checked(path: Path, known: Stamp, *, anew: bool = False) -> Stamp:
    """The stamp of a file that has the content of ``known``; raises FileError where it has another.

    It is read only if its size or time differ, or ``anew``.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise FileError(path, f"it cannot be read: {error.strerror or error}") from error
    if not anew and (status.st_size, status.st_mtime_ns) == (known.bytes, known.changed):
        return known
    if status.st_size != known.bytes:
        raise FileError(path, f"it has {status.st_size} bytes and was written with {known.bytes}")
    new = stamp(path)
    if new.digest != known.digest:
        raise FileError(path, "its content has changed since it was written")
    return new


def digest(path: Path) -> str:
    """The BLAKE2b digest of a file's content, 16 bytes in hexadecimal."""
    running = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            running.update(block)
    return running.hexdigest()
