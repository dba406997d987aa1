"""Writes files completely or not at all: under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import StoreError


def text(out: Path, content: str) -> Path:
    """Write ``content`` as UTF-8 with ``\\n`` at the end of lines, on every system."""
    return atomically(out, lambda path: path.write_text(content, encoding="utf-8", newline="\n"))


def check(out: Path) -> None:
    """Raise :class:`StoreError` now if ``out`` could not be written after hours of work. Makes its folder."""
    _through_temporary(out, Path.touch, lambda _: None)


def atomically(out: Path, write: Callable[[Path], Any]) -> Path:
    """Let ``write`` fill a temporary file of the same suffix, and name it ``out`` when it is complete.

    Folders on the way are made. Raises :class:`StoreError` where the file cannot be written.
    """
    return _through_temporary(out, write, lambda temporary: temporary.replace(out))


def _through_temporary(out: Path, write: Callable[[Path], Any], then: Callable[[Path], Any]) -> Path:
    if out.exists() and not out.is_file():  # the rename would put a file in place of a device
        kind = "a folder" if out.is_dir() else "a device or a pipe"
        raise StoreError(f"cannot write {out}: it is {kind}. Give the name of a file.")
    temporary = out.with_name(f".{out.stem}.{os.getpid()}.tmp{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        then(temporary)
    except OSError as error:
        raise StoreError(
            f"cannot write {out}: {error.strerror or error}. Choose a place you can write to."
        ) from error
    finally:
        with suppress(OSError):  # gone already, or never made
            temporary.unlink()
    return out
