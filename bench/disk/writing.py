"""Writes files and folders completely or not at all: under a temporary name that is renamed at the end.

The content reaches the disk before the name does, and the name before the function returns, so that a power
cut leaves the old file or the new one. ``BENCH_FSYNC=0`` leaves that to the system, for quicker writing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.disk import owners

TRIES = 8  # of renaming a folder, while others do the same


def replace(path: Path, write: Callable[[Path], Any], *, lasting: bool = True) -> None:
    """Let ``write`` fill a file of a temporary name and the same suffix, and rename it to ``path``.

    What dead processes left in the folder goes. ``lasting=False`` is for a file that means nothing once the
    machine stops. Raises OSError.
    """
    owners.sweep(path.parent)
    temporary = owners.temporary(path)
    try:
        write(temporary)
        if lasting:
            flush(temporary)
        temporary.replace(path)
        if lasting:
            flush(path.parent)
    finally:
        owners.remove(temporary)


def replace_bytes(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write ``content`` to ``path`` by :func:`replace`."""
    replace(path, lambda temporary: temporary.write_bytes(content), lasting=lasting)


def replace_folder(path: Path, fill: Callable[[Path], Any], *, found: int | None) -> None:
    """Let ``fill`` write into a new folder, which then takes the place of ``path``; raises OSError.

    ``found`` is the number of the folder that the caller found there and will not have (:func:`number`).
    One that another process has put there since stays: others may be reading it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owners.sweep(path.parent)
    temporary = owners.temporary(path)
    try:
        temporary.mkdir()
        fill(temporary)
        if found is not None and number(path) == found:
            settle(temporary, path)
        else:
            _flush_folder(temporary)
            try:
                temporary.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
            flush(path.parent)
    finally:
        owners.remove(temporary)


def settle(grown: Path, path: Path) -> None:
    """Put a complete folder in the place of another: its files reach the disk before its name does."""
    _flush_folder(grown)
    _exchange(grown, path)
    flush(path.parent)


def _flush_folder(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        flush(file)
    flush(folder)


def number(path: Path) -> int | None:
    """The number by which the file system knows a folder; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _exchange(new: Path, path: Path) -> None:
    """Rename a folder to ``path``, where another may lie, and where others may be doing the same."""
    for _ in range(TRIES):
        with suppress(OSError):  # a folder that is not empty cannot be replaced
            new.rename(path)
            return
        old = owners.temporary(path)
        with suppress(FileNotFoundError):
            path.rename(old)
        owners.remove(old)
    new.rename(path)


def flush_all() -> None:
    """Bring all that was written so far to the disk: for thousands of files, one by one would take long."""
    if os.environ.get("BENCH_FSYNC") != "0" and hasattr(os, "sync"):
        os.sync()


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    if os.environ.get("BENCH_FSYNC") == "0" or (os.name == "nt" and path.is_dir()):
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
