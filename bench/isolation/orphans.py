"""A worker process ends when the process that started it does, however that ends."""

from __future__ import annotations

import os
import threading
import time

_PAUSE = 0.5  # seconds between two looks


def end_with(parent: int) -> None:
    """Watch the parent of this process from a thread, from now on."""
    threading.Thread(target=_watch, args=(parent,), name="watches the parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE)
    os._exit(1)
