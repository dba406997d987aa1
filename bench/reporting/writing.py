"""Writes the files that a user asked for, and says where that is not possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.disk import owners, places, writing
from bench.errors import StoreError


def text(out: Path, content: str) -> Path:
    """Write ``content`` as UTF-8 with ``\\n`` at the end of lines, on every system."""
    return atomically(out, lambda path: path.write_text(content, encoding="utf-8", newline="\n"))


def check(out: Path) -> None:
    """Raise :class:`StoreError` now if ``out`` could not be written after hours of work. Makes its folder."""
    with _writable(out):
        probe = owners.temporary(out)
        probe.touch()
        probe.unlink()


def atomically(out: Path, write: Callable[[Path], Any]) -> Path:
    """Let ``write`` fill a temporary file of the same suffix, and name it ``out`` when it is complete.

    Folders on the way are made. Raises :class:`StoreError` where the file cannot be written.
    """
    with _writable(out):
        writing.replace(out, write)
    return out


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    places.local(out, "output")
    if out.exists() and not out.is_file():  # the rename would put a file in place of a device
        kind = "a folder" if out.is_dir() else "a device or a pipe"
        raise StoreError(f"cannot write {out}: it is {kind}. Give the name of a file.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {out}: {error.strerror or error}. Choose a place you can write to."
        ) from error
