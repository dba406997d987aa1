"""What a long cell is doing, as one line of the terminal that is written over; nothing where there is none.

Methods say it through :func:`bench.api.passes`, which logs. Every process, worker or not, may write
the line: one write each, so that lines of several workers take turns and never mix.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.api import PROGRESS

_ERASE = "\r\x1b[K"
_PAUSE = 0.1  # seconds between two lines: nobody reads faster, and training must not wait for a terminal


class Line(logging.Handler):
    """Shows where a pass is and, behind it, what is logged: at most ten times a second, in one line.

    ``width`` is the terminal's; 0 shows nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._where, self._width, self._last = "", width, 0.0

    def at(self, where: str) -> None:
        """The cell and round that what is logged from now on belongs to."""
        self._where = where
        self._show(where)

    def emit(self, record: logging.LogRecord) -> None:
        self._show(f"{self._where}, {record.getMessage()}")

    def _show(self, text: str) -> None:
        now = time.monotonic()
        if self._width and now - self._last >= _PAUSE:
            self._last = now
            room = self._width - 1
            _write(_ERASE + (text if len(text) <= room else f"…{text[1 - room :]}"))  # the end tells most


@contextmanager
def shown() -> Iterator[Line]:
    """Show progress while a pass runs; without a terminal what is logged stays where logging puts it."""
    if not sys.stderr.isatty():
        yield Line(0)
        return
    line = Line(shutil.get_terminal_size().columns)
    level, passed_on = PROGRESS.level, PROGRESS.propagate
    PROGRESS.addHandler(line)
    PROGRESS.setLevel(logging.INFO)
    PROGRESS.propagate = False
    try:
        yield line
    finally:
        PROGRESS.removeHandler(line)
        PROGRESS.setLevel(level)
        PROGRESS.propagate = passed_on
        erase()


def erase() -> None:
    """Make room for a line that stays."""
    if sys.stderr.isatty():
        _write(_ERASE)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
