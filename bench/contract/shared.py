"""Work that cells on the same items share: computed once in a pass over the stream, or once and for all.

The trap: a timing has to say what a cell costs alone, so that seconds spared are counted as borrowed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

from bench.contract import state
from bench.errors import StoreError

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Shared:
    """Work on some items (a pool, the chunk of a round) that the cells of one pass share.

    ``compute`` must depend on these items, on earlier chunks, on what is in ``key`` and on parameters
    that all cells of a pass have in common, never on what they differ in (the code length, a parameter
    that the method's ``varies`` names) unless it is in the key. It must draw nothing from ``self.rng``:
    a cell has to give the same codes alone. It belongs to one set of items: others,
    or other labels, need a ``Shared()`` of their own. ``folder``: where :meth:`kept` keeps files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.borrowed = [0.0, 0.0]  # wall and CPU seconds that a cell would have spent alone
        self._found: dict[Hashable, tuple[Any, float, float]] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value of ``compute()``, computed by whoever asks first; others must not change it."""
        if key in self._found:
            return cast(T, self._borrow(key))
        return cast(T, self._compute(key, compute))

    def kept(self, key: str, compute: Callable[[], T]) -> T:
        """Like :meth:`once`, and from disk where any run has computed it: for what takes long, as a teacher.

        ``key`` is a hash, and a file's name, of ALL that the value depends on (arrays, parameters, seed)
        but the code, which the folder stands for. The value is a tree that :mod:`bench.contract.state` saves.
        A file that cannot be read is computed and written again; one that cannot be written is done without.
        """
        if key not in self._found:
            path = None if self.folder is None else self.folder / f"{key}.npz"
            stored = _read(path)
            if stored is None:
                value = self._compute(key, compute)
                _write(path, self._found[key])
                return cast(T, value)
            self._found[key] = stored
        return cast(T, self._borrow(key))

    def _compute(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        value = compute()
        self._found[key] = value, time.perf_counter() - wall, time.process_time() - cpu
        return value

    def _borrow(self, key: Hashable) -> Any:
        value, wall, cpu = self._found[key]
        self.borrowed[0] += wall
        self.borrowed[1] += cpu
        return value


def _read(path: Path | None) -> tuple[Any, float, float] | None:
    if path is None or not path.is_file():
        return None
    try:
        value, wall, cpu = state.load(path)
        return value, float(wall), float(cpu)
    except (StoreError, ValueError, TypeError) as error:
        _log.warning("%s is computed again: %s", path.name, error)
        return None


def _write(path: Path | None, found: tuple[Any, float, float]) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        state.save(path, found)
    except OSError as error:
        _log.warning("%s is not kept for other runs: %s", path, error)
