"""Temporary names that say which process made them, so that a later one can remove what a dead one left.

The trap: process numbers mean something on their own machine only, and are given out again.
"""

from __future__ import annotations

import math
import os
import platform
import re
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.tmp-(?P<host>.*)-(?P<pid>\d{1,10})-(?P<since>\d{1,12})-[0-9a-f]{8}(\..*)?")


def alive(host: str, pid: int, since: float) -> bool | None:
    """Whether the process that ran at ``since`` (seconds since 1970) still runs; None on another machine."""
    return None if host != platform.node() else _started(pid) <= since + 2  # later: another one of its number


def _started(pid: int) -> float:
    """When the process of this number started, in seconds since 1970; infinity where none runs."""
    import psutil

    try:
        process = psutil.Process(pid)
        return math.inf if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return math.inf
    except psutil.Error:  # it runs, and says nothing to us
        return 0.0


def temporary(beside: Path) -> Path:
    """A hidden name in the same folder, of the same suffix, that names this process as its owner."""
    owner = f"{_host()}-{os.getpid()}-{time.time():.0f}-{uuid.uuid4().hex[:8]}"
    return beside.with_name(f".tmp-{owner}{beside.suffix}")


@cache
def sweep(folder: Path) -> None:
    """Remove the temporary files and folders in ``folder`` whose owners have died; once in a process."""
    with suppress(OSError):  # the folder cannot be read, or does not exist yet
        for path in folder.glob(".tmp-*"):
            if _is_abandoned(path):
                remove(path)


def _is_abandoned(path: Path) -> bool:
    name = _NAME.fullmatch(path.name)
    if name is None or name["host"] != _host():
        return False
    return alive(platform.node(), int(name["pid"]), int(name["since"])) is False


def remove_shared_memory(pid: int) -> None:
    """Remove the folders and semaphores that joblib made for the workers of a dead process."""
    if _started(pid) < math.inf:  # a later process has its number
        return
    for folder in {Path("/dev/shm"), Path(tempfile.gettempdir())}:
        for pattern in (f"joblib_memmapping_folder_{pid}_*", f"sem.loky-{pid}-*"):
            for path in folder.glob(pattern):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def _host() -> str:
    return re.sub(r"[^\w-]", "_", platform.node())
