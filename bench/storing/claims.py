"""Claims on cells, by which runs on one results folder share the work: the first to claim a cell computes it.

A run has a lease, a file that names its process and is touched while the run lives. A claim is a hard link
to it that is named after the cell: to make one is a single step, on a shared folder too, in which only one
run succeeds, and one touch keeps all claims of a run fresh.

The trap: two runs that find the same dead claim must not both replace it, or the slower one removes the new
claim of the quicker. So all claims of a dead run go together, and only with the run that renames its lease.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from bench.disk import owners, reading, writing
from bench.disk.form import mismatch
from bench.errors import FileError

BEAT = 15.0  # seconds between two touches of a lease
SILENT = 180.0  # after which a run on another machine counts as dead; on this one its process is looked up
_MOST = 4096  # bytes of a lease


@dataclass(frozen=True, slots=True)
class _Holder:
    """The run that a lease or a claim names, and when it was last touched."""

    run: str
    host: str
    pid: int
    since: float
    touched: float


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one run on the cells in ``folder``; its worker processes get a copy."""

    folder: Path
    run: str

    @property
    def shared(self) -> bool:
        """Whether this process sees the folder of the run, so that it can store cells itself."""
        return self._lease.exists()

    def take(self, key: str) -> bool:
        """Claim a cell; False if another run that lives has done so.

        Where no claim can be made, for want of hard links or of the folder, every cell is free.
        """
        claim = self.folder / f".{key}.claim"
        while True:
            try:
                os.link(self._lease, claim)
                return True
            except FileExistsError:
                pass
            except OSError:
                return True
            try:
                holder = _read(claim)
                if holder is None:
                    claim.unlink()
                elif holder.run == self.run:
                    return True
                elif self._lives(holder) or not self._bury(holder, claim):
                    return False
            except FileNotFoundError:  # released at this moment
                continue
            except OSError:
                return True

    def release(self, key: str) -> None:
        """Give up the claim on a cell."""
        _remove(self.folder / f".{key}.claim")

    @property
    def _lease(self) -> Path:
        return self.folder / f".{self.run}.lease"

    def _lives(self, holder: _Holder | None) -> bool:
        if holder is None:
            return False
        alive = owners.alive(holder.host, holder.pid, holder.since)
        if alive is not None:
            return alive
        # Both times are by the clock of the machine that has the folder.
        return self._lease.stat().st_mtime - holder.touched < SILENT

    def _bury(self, dead: _Holder, claim: Path) -> bool:
        """Remove the claims and the lease of a dead run; False if another run is doing so.

        The lease is renamed first, to ``.DEAD+UNDERTAKER.lease``, and goes last.
        """
        lease = next((p for form in (".", "+*.") for p in self.folder.glob(f".{dead.run}{form}lease")), None)
        if lease is None:  # the dead run is buried by now, or somebody deleted its lease alone
            left = _read(claim)
            if left is not None and left.run == dead.run:
                claim.unlink()
            return True
        undertaker = self.folder / f".{lease.stem.rpartition('+')[2]}.lease"
        if "+" in lease.stem and undertaker.exists() and self._lives(_read(undertaker)):
            return False
        mine = lease.with_name(f".{dead.run}+{self.run}.lease")
        lease.rename(mine)
        _remove_links(mine)
        return True

    def _bury_the_dead(self) -> None:
        for lease in self.folder.glob(".run-*.lease"):
            with suppress(OSError):
                holder = _read(lease)
                if holder is None:
                    lease.unlink()
                elif not self._lives(holder):
                    self._bury(holder, lease)

    def _beat(self, ended: Event) -> None:
        while not ended.wait(BEAT):
            with suppress(OSError):
                os.utime(self._lease)


@contextmanager
def of_this_run(folder: Path) -> Iterator[Claims]:
    """The claims of this run, which end with the block; those of dead runs are removed."""
    holder = {"host": platform.node(), "pid": os.getpid(), "since": time.time()}
    name = re.sub(r"[^\w-]", "_", f"run-{holder['host']}-{holder['pid']}-{uuid.uuid4().hex[:8]}")
    claims = Claims(folder, name)
    lease = claims._lease
    ended = Event()
    beat = Thread(target=claims._beat, args=(ended,), daemon=True)
    try:
        with suppress(OSError):  # on a full disk the run goes on without claims
            content = json.dumps({"run": claims.run, **holder}).encode()
            writing.replace_bytes(lease, content, lasting=False)
            claims._bury_the_dead()
        beat.start()
        yield claims
    finally:
        ended.set()
        _remove_links(lease)


def _read(path: Path) -> _Holder | None:
    """The holder of a claim or a lease; None if the file names none. Raises OSError."""
    touched = path.lstat().st_mtime
    try:
        stored = {**reading.read_json(path, _MOST), "touched": touched}
    except FileError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        return None
    except TypeError:  # not an object
        return None
    if mismatch(stored, _Holder, "lease"):
        return None
    holder = _Holder(**stored)
    return holder if re.fullmatch(r"run-[\w-]+", holder.run) else None


def _remove_links(lease: Path) -> None:
    """Remove the claims that are links to a lease, then the lease."""
    with suppress(OSError):
        number = lease.stat().st_ino
        with os.scandir(lease.parent) as entries:
            claims = [e.name for e in entries if e.name.endswith(".claim") and e.inode() == number]
        for name in claims:
            _remove(lease.with_name(name))
    _remove(lease)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
