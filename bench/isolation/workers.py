"""The worker processes of joblib: they end when their parent does, and a Ctrl-C is not theirs.

The trap: a terminal interrupts workers too, and one that is still importing shows a traceback. A blocked
signal is inherited, while a handler could only be set after those imports.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import Any

_PAUSE = 0.5  # seconds between two looks at the parent


def loky(**options: Any) -> Any:
    """joblib's backend of that name, for ``parallel_config`` or ``Parallel``."""
    from joblib.parallel import LokyBackend

    backend = LokyBackend(**options, initializer=_end_with, initargs=(os.getpid(),))
    backend.submit = _uninterrupted(backend.submit)  # which starts the workers that are missing
    return backend


def _uninterrupted(act: Callable[..., Any]) -> Callable[..., Any]:
    """``act``, with SIGINT blocked meanwhile: one that arrives is handled afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        return act

    def acting(*args: Any, **options: Any) -> Any:
        resource_tracker.ensure_running()  # its start would unblock the signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return act(*args, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return acting


def _end_with(parent: int) -> None:
    """Watch the parent of this process from a thread, from now on."""
    threading.Thread(target=_watch, args=(parent,), name="watches the parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE)
    os._exit(1)
