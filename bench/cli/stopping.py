"""Ctrl-C and SIGTERM end a command alike: with one line, an exit code, and nothing half-written.

It imports little: until `handled` runs, Ctrl-C shows a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HOW = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Terminated(KeyboardInterrupt):
    """SIGTERM has arrived."""


@contextmanager
def handled(*, to_the_end: bool) -> Iterator[list[signal.Signals]]:
    """Let SIGTERM raise :class:`Terminated` in the block; gives the signals that arrive.

    ``to_the_end`` is for a block after which the process ends: both signals are ignored from there on, since
    the exit of Python shows tracebacks of its own.
    """
    arrived: list[signal.Signals] = []

    def stop(number: int, _: object) -> None:
        arrived.append(signal.Signals(number))
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only that one may handle signals
        yield arrived
        return
    before = {one: handler for one in HOW if (handler := signal.getsignal(one)) != signal.SIG_IGN}
    hook, sys.unraisablehook = sys.unraisablehook, _arrive_again
    for one in before:
        signal.signal(one, stop)
    try:
        yield arrived
    finally:
        sys.unraisablehook = hook
        for one, handler in before.items():
            signal.signal(one, signal.SIG_IGN if to_the_end else handler or signal.SIG_DFL)


def _arrive_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that arrived in a callback, where Python can only report an exception."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(lost)
