"""Ctrl-C and SIGTERM end a command alike: with one line, an exit code, and nothing half-written.

Before :func:`handled`, bench/cli/__main__.py decides.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HOW: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Stopped(KeyboardInterrupt):
    """A signal has arrived: its number.

    The trap: once a plain KeyboardInterrupt has left an exec(), `python -m` ends by SIGINT, whatever the exit
    code (CPython's unhandled_keyboard_interrupt).
    """


@contextmanager
def handled(arrived: list[int], *, to_the_end: bool) -> Iterator[None]:
    """Let both signals raise :class:`Stopped` in the block, and append them to ``arrived``.

    ``to_the_end`` is for a block after which the process ends: both signals are ignored from there on, since
    the exit of Python shows tracebacks of its own.
    """
    over = False

    def stop(number: int, _: object) -> None:
        if not over:
            arrived.append(number)
            raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():  # only that one may handle signals
        yield
        return
    before = {one: handler for one in HOW if (handler := signal.getsignal(one)) != signal.SIG_IGN}
    hook, sys.unraisablehook = sys.unraisablehook, _arrive_again
    try:
        for one in before:
            signal.signal(one, stop)
        yield
    finally:
        over = True
        sys.unraisablehook = hook
        for one, handler in before.items():
            signal.signal(one, signal.SIG_IGN if to_the_end else handler or signal.SIG_DFL)


def _arrive_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that arrived in a callback, where Python can only report an exception."""
    if isinstance(lost.exc_value, Stopped):
        threading.Timer(0.01, os.kill, (os.getpid(), *lost.exc_value.args)).start()
    else:
        sys.__unraisablehook__(lost)
