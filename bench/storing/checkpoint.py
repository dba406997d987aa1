"""Long cells are saved between rounds, so that an interrupted one continues where it was.

A checkpoint lies beside the cell's record to be, as ``CELL.partial``: plain data, written under a
temporary name and renamed, and removed when the record is stored. It is used only if code, data
and machine have not changed; codes are then those of an uninterrupted run, bit for bit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from bench.contract import state
from bench.contract.state import Tree
from bench.disk import owners
from bench.errors import ContractError, StoreError
from bench.records import RunRecord
from bench.storing import recount

EVERY = 30.0  # seconds between two checkpoints: a shorter cell writes none
_SHARE = 20  # and at least this many times what the last one took: saving costs 5 % at most
_log = logging.getLogger(__name__)


class Resumable(Protocol):
    """A cell under way."""

    failure: Any

    def save(self) -> Tree: ...

    def resume(self, saved: Any) -> None: ...


class Checkpoints:
    """The checkpoints of the cells of one pass: ``paths`` has one for each cell, or none at all.

    ``facts`` are what a cell's numbers depend on beside its spec: they must be the same when it continues.
    """

    def __init__(self, paths: Sequence[Path], facts: Mapping[str, Any]) -> None:
        self._paths = self._places = paths
        self._facts = facts
        self._resumed: list[int] = []
        self._wait, self._last = EVERY, time.monotonic()

    def resume(self, cells: Sequence[Resumable]) -> None:
        """Let every cell with a usable checkpoint continue from there."""
        for at, (path, cell) in enumerate(zip(self._paths, cells, strict=False)):
            if cell.failure is not None or not path.exists():
                continue
            try:
                saved = state.load(path)
                usable = dict(saved["facts"]) == self._facts
            except StoreError as error:
                _log.warning("%s The cell starts over.", error)
                continue
            except (LookupError, TypeError, ValueError) as error:
                _log.warning("%s: not a checkpoint (%s). The cell starts over.", path, error)
                continue
            if usable:
                self._resumed.append(at)
                try:
                    cell.resume(saved["cell"])
                except Exception as error:  # noqa: BLE001  # one of another shape can raise anything
                    cell.failure = f"{type(error).__name__}: {error}", ""

    def has_resumed(self, at: int) -> bool:
        """Whether the cell at this position continued from a checkpoint."""
        return at in self._resumed

    def keep(self, at: int, cell: Tree) -> None:
        """Save the cell at this position now: a training inside a round hands itself on."""
        if self._paths:
            try:
                state.save(self._paths[at], {"facts": self._facts, "cell": cell})
            except (OSError, ContractError) as error:
                self._give_up(self._paths[at], error)

    def _give_up(self, path: Path, error: Exception) -> None:
        _log.warning("no checkpoint of %s: %s", path.stem, error)
        self._paths = ()

    def misled(self, done: Sequence[tuple[RunRecord, Mapping[str, Any]] | None]) -> list[int]:
        """The positions of resumed cells that failed or whose scores do not follow from their counts.

        ``done`` has None for a cell that has not finished. The checkpoints of the others, which may be
        why, are removed, so that they can be run from the start.
        """
        misled = []
        for at in self._resumed:
            outcome = done[at]
            if outcome and (reason := _fault(*outcome)):
                _log.warning("%s: the resumed cell failed (%s). It starts over.", self._places[at], reason)
                discard(self._places[at])
                misled.append(at)
        return misled

    def offer(self, cells: Sequence[Resumable]) -> None:
        """Save every cell if the last checkpoint is old enough; call this between rounds."""
        started = time.monotonic()
        if not self._paths or started - self._last < self._wait:
            return
        try:
            for path, cell in zip(self._paths, cells, strict=True):
                if cell.failure is None:
                    state.save(path, {"facts": self._facts, "cell": cell.save()})
        except (OSError, ContractError) as error:  # a cell that cannot be saved still runs to its end
            self._give_up(path, error)
        self._last = time.monotonic()
        self._wait = max(EVERY, _SHARE * (self._last - started))


def _fault(record: RunRecord, arrays: Mapping[str, Any]) -> str:
    if record.status != "ok":
        return record.reason
    try:
        return recount.fault(record, arrays)
    except Exception as error:  # noqa: BLE001  # values from a file that anybody wrote
        return f"{type(error).__name__}: {error}"


def discard(path: Path) -> None:
    """Remove a checkpoint."""
    owners.remove(path)


def tidy(folder: Path) -> None:
    """Remove the checkpoints of cells that have been stored since, by a process killed before it did so."""
    for path in folder.glob("[!.]*.partial"):
        with suppress(OSError):  # not stored, or gone meanwhile
            if path.with_suffix(".json").stat().st_mtime_ns >= path.stat().st_mtime_ns:
                discard(path)
