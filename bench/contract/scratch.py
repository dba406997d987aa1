"""Where matrices that are larger than memory lie while a dataset is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_folder: ContextVar[Path | None] = ContextVar("scratch folder", default=None)


def scratch_folder() -> Path | None:
    """The folder for ``.npy`` files of large matrices; None outside the harness, which needs no such file.

    A file there that a read-only map covers completely moves into the cache, so that the matrix takes its
    room on the disk once. The harness removes all others when the dataset is cached.
    """
    return _folder.get()


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Make ``folder`` the scratch folder for as long as the block runs."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)
