"""Remembers which stored cells have passed their check, so that each is counted again only once.

The memory lies in the user's cache: a results folder may come from a stranger, and must not vouch for itself.
A cell is known by a digest of its bytes, so a changed one is checked anew wherever it lies.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

import bench
from bench.disk import places

# The files that decide what passes.
_DECISIVE = ("metrics/*.py", "records.py", "scoring/*.py", "storing/*.py")
_log = logging.getLogger(__name__)


class Passed:
    """The digests of cells that have passed, one a line in a file for each version of the check."""

    @cached_property
    def _path(self) -> Path:
        return places.cache() / "passed" / f"{_version()}.txt"

    @cached_property
    def _digests(self) -> set[str]:
        try:
            return set(self._path.read_text(encoding="ascii", errors="replace").split())
        except OSError:  # none yet, or none that can be read: every cell is checked
            return set()

    def __contains__(self, digest: object) -> bool:
        return digest in self._digests

    def add(self, digests: Iterable[str]) -> None:
        """Remember these too; where the cache cannot be written, until the process ends."""
        new = set(digests) - self._digests
        if not new:
            return
        self._digests.update(new)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                file.write("".join(f"{digest}\n" for digest in sorted(new)))
        except OSError as error:
            _log.info("%s: %s; cells are checked again next time", self._path, error)


@cache
def _version() -> str:
    root = Path(bench.__path__[0])
    digest = hashlib.sha256()
    for pattern in _DECISIVE:
        for path in sorted(root.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
