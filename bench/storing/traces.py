"""Traces of a running sweep in the results folder, which show a reader what runs.

A trace is a small hidden file that its writer removes at the end. The trap: a killed writer cannot
remove it, so a trace counts only as long as the process that wrote it lives.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from bench.disk import owners, reading, writing
from bench.disk.form import mismatch
from bench.errors import FileError
from bench.records import RunRecord, RunSpec
from bench.storing import checkpoint

_MOST = 1 << 20  # bytes of a trace
_PAUSE = 1.0  # seconds between two writes of a share


@dataclass(kw_only=True)
class Trace:
    """One process at work: a ``sweep``, or a worker on the ``cells`` of one pass over a stream.

    ``since`` is in seconds since 1970. ``total``, ``finished`` and ``failed`` count the cells that the
    sweep had to compute; ``cells`` maps the key of every cell that the worker is computing to its text, and
    ``share`` is how much of its pass is done, from 0 to 1.
    """

    kind: Literal["sweep", "cells"]
    name: str = ""
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    since: float = field(default_factory=time.time)
    jobs: int = 1
    total: int = 0
    finished: int = 0
    failed: int = 0
    cells: Mapping[str, str] = field(default_factory=dict)
    share: float = 0.0

    @property
    def alive(self) -> bool | None:
        """Whether the process still runs; None if it is on another machine."""
        return owners.alive(self.host, self.pid, self.since)

    def write(self, folder: Path) -> None:
        """Write the trace; if that fails the work goes on, unseen."""
        with suppress(OSError):
            writing.replace_bytes(self._path(folder), json.dumps(asdict(self)).encode(), lasting=False)

    def remove(self, folder: Path) -> None:
        with suppress(OSError):
            self._path(folder).unlink(missing_ok=True)

    def _path(self, folder: Path) -> Path:
        return folder / f".{self.kind}-{self.host}-{self.pid}{self.name}.trace"


def read(folder: Path) -> list[Trace]:
    """Every trace in ``folder``, also those of processes that have ended."""
    traces = []
    for path in sorted(folder.glob(".[cs]*.trace")):
        with suppress(FileError):  # removed meanwhile, or not ours
            stored = reading.read_json(path, _MOST)
            if not mismatch(stored, Trace, "trace"):
                trace = Trace(**stored)
                possible = math.isfinite(trace.since) and 0 < trace.pid < 1 << 31
                traces += [trace] if possible else []
    return traces


class Sweep:
    """The trace of a sweep over ``total`` cells; removes what killed sweeps on this machine left."""

    def __init__(self, folder: Path, *, total: int, jobs: int) -> None:
        self.folder, self.trace = folder, Trace(kind="sweep", total=total, jobs=jobs)

    def __enter__(self) -> Self:
        for old in read(self.folder):
            if old.alive is False:
                old.remove(self.folder)
                owners.remove_shared_memory(old.pid)
        owners.sweep(self.folder)
        checkpoint.tidy(self.folder)
        self.trace.write(self.folder)
        return self

    def finished(self, record: RunRecord) -> None:
        self.trace.finished += 1
        self.trace.failed += record.status == "failed"
        self.trace.write(self.folder)

    def under_way(self, keys: Collection[str]) -> list[Trace]:
        """The passes of cells with these keys that other processes compute."""
        others = (one for one in read(self.folder) if one.pid != self.trace.pid and one.alive is not False)
        return [one for one in others if one.cells.keys() & set(keys)]

    def __exit__(self, *error: object) -> None:
        self.trace.remove(self.folder)


@contextmanager
def running(folder: Path, specs: Sequence[RunSpec]) -> Iterator[Callable[[float], None]]:
    """Leave a trace, while the block runs, that this process computes these cells.

    The block calls what it is given with the share that is done; the trace has it a second later at most.
    """
    trace = Trace(kind="cells", name=f"-{specs[0].key}", cells={s.key: str(s) for s in specs})
    trace.write(folder)
    written = time.monotonic()

    def reached(share: float) -> None:
        nonlocal written
        trace.share = share
        if time.monotonic() - written >= _PAUSE:
            written = time.monotonic()
            trace.write(folder)

    try:
        yield reached
    finally:
        trace.remove(folder)
