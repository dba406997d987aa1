"""The contract of methods that are not built in: checked before their cells run, once for every version."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.disk import places, reading, writing
from bench.disk.form import mismatch
from bench.errors import FileError
from bench.plugins import fingerprint, registry
from bench.progress import Task, say
from bench.records import RunRecord, selector
from bench.running import checked
from bench.running.hosts import APART, Isolation
from bench.storing.store import source_of
from bench.study.planned import PlannedCell

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The checks that a method failed, None where they did not run, and what every reader should know."""

    failed: tuple[str, ...] | None
    notes: tuple[str, ...] = ()

    def on(self, record: RunRecord) -> RunRecord:
        """The record with the verdict."""
        return replace(record, contract=self.failed, notes=(*record.notes, *self.notes))

    def noting(self, notes: Sequence[str]) -> Verdict:
        """The same verdict with more notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True, slots=True)
class How:
    """How methods are checked; ``progress`` prints a line that says what it costs."""

    thread_count: int = 1
    isolation: Isolation = APART
    progress: bool = False


def verdicts(cells: Sequence[PlannedCell], how: How, *, run: bool = True) -> dict[str, Verdict]:
    """Key of a cell → the verdict on its method; tests of hashbench check those that are built in.

    One check serves all cells of a version whose parameters differ in numbers alone; its parameters are those
    of the first of them. Without ``run`` no method is checked.
    """
    built_in = {name: registry.is_built_in("method", name) for name in {cell.spec.method for cell in cells}}
    known: dict[str, Verdict] = {}

    def verdict(cell: PlannedCell) -> Verdict:
        if built_in[cell.spec.method]:
            return Verdict(())
        if not run:
            return Verdict(None)
        setting = selector(cell.spec.method, _switches(cell.spec.params))
        if setting not in known:
            known[setting] = _remembered(cell, setting, how)
        return known[setting]

    return {cell.spec.key: verdict(cell).noting(_origin(cell.spec.method)) for cell in cells}


def _origin(name: str) -> tuple[str, ...]:
    """The note that tells a class of a notebook from a plugin."""
    if not registry.is_defined(name):
        return ()
    return (f"{name} is a class of a notebook or script; its source is kept as {source_of('method', name)}",)


def _switches(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that choose between ways to work, which numbers do not."""
    return {k: v for k, v in params.items() if isinstance(v, bool) or not isinstance(v, (int, float))}


def _remembered(cell: PlannedCell, setting: str, how: How) -> Verdict:
    """The verdict of an earlier check of this version, or of one now."""
    name = cell.spec.method
    digest = hashlib.sha256(f"{fingerprint.of_contract(name)} {setting}".encode()).hexdigest()[:16]
    path = places.cache() / "contract" / f"{name}-{digest}.json"
    verdict = _read(path)
    if verdict is None:
        verdict, lasting = _check(cell, setting, how)
        if lasting:
            _write(path, verdict)
    return verdict


def _check(cell: PlannedCell, setting: str, how: How) -> tuple[Verdict, bool]:
    """The verdict, and whether it will be the same next time: a check that was ended may do better."""
    started = time.perf_counter()
    with Task(f"contract of {setting}"):
        name = cell.spec.method
        results, lasting = checked.check(
            cell.method, cell.spec.params, thread_count=how.thread_count, isolation=how.isolation
        )
    failed = tuple(result.name for result in results if not result.ok)
    if how.progress:
        see = f"bench.check_method({name})" if registry.is_defined(name) else f"`bench check '{setting}'`"
        outcome = f"failed {len(failed)}; see {see}" if failed else "passed"
        took = time.perf_counter() - started
        say(f"contract of {setting}: {outcome}; {len(results)} checks in {took:.1f} s, once for this version")
    notes = tuple(result.message for result in results if result.ok and result.message)
    return Verdict(failed, notes), lasting


def _read(path: Path) -> Verdict | None:
    try:
        stored = reading.read_json(path)
    except FileError:  # missing, or damaged: checked again
        return None
    if mismatch(stored, Verdict, "verdict") or stored["failed"] is None:
        return None
    return Verdict(tuple(stored["failed"]), tuple(stored["notes"]))


def _write(path: Path, verdict: Verdict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.replace_bytes(path, json.dumps(asdict(verdict)).encode())
    except OSError as error:
        _log.warning("%s is not kept for other runs: %s", path, error)
