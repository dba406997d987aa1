"""A worker process ends when the process that started it does, however that ends, and by no Ctrl-C itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PAUSE = 0.5  # seconds between two looks


def end_with(parent: int) -> None:
    """Watch the parent of this process from a thread, from now on."""
    threading.Thread(target=_watch, args=(parent,), name="watches the parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE)
    os._exit(1)


@contextmanager
def deaf() -> Iterator[None]:
    """Let processes started in the block never receive Ctrl-C: this process does, after the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
