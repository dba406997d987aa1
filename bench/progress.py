"""Progress on standard error: a line for one long task, and one for what a cell is doing.

Methods say what they do through :func:`passes`, which logs. Every process, worker or not, may write
the line: one write each, so that lines of several workers take turns and never mix.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

PROGRESS = logging.getLogger("bench.progress")  # at INFO: how far a long training is
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


def passes(stage: str, count: int) -> Iterator[int]:
    """``range(count)`` for the passes over the items in a training, whose progress is logged.

    `bench run` shows it on a terminal as ``student: epoch 3 of 20``; elsewhere nothing is printed.
    """
    for epoch in range(count):
        PROGRESS.info("%s: epoch %d of %d", stage, epoch + 1, count)
        yield epoch


class Meter:
    """Counts up to ``total`` (None: unknown); a line that is rewritten at a terminal, else one in 30 s."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self._first = 0
        self._live = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def skip(self, count: int) -> None:
        """Count what an earlier attempt has done, which says nothing about the rate."""
        self.done += count
        self._first += count

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self._shown >= (0.2 if self._live else 30):
            self._shown = now
            self._print(end="\r" if self._live else "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live or kind is None:
            self._print(end="\n")

    @property
    def rate(self) -> float:
        """Units per second since the start."""
        return (self.done - self._first) / max(time.monotonic() - self._started, 1e-9)

    def __str__(self) -> str:
        """
        >>> meter = Meter("clip", 200, "images")
        >>> meter.skip(200)
        >>> str(meter)
        'clip: 200 of 200 images'
        """
        share = f" of {amount(self.total, self.unit)}" if self.total is not None else f" {self.unit}"
        text = f"{self.label}: {amount(self.done, self.unit, bare=self.total is not None)}{share}"
        if self.done == self._first:
            return text
        text += f", {amount(self.rate, self.unit)}/s"
        left = 0.0 if self.total is None else (self.total - self.done) / self.rate
        return text + (f", {duration(left)} left" if left > 0 else "")

    def _print(self, end: str) -> None:
        sys.stderr.write(("\x1b[2K" if self._live else "") + str(self) + end)
        sys.stderr.flush()


def amount(count: float, unit: str, *, bare: bool = False) -> str:
    """A count with its unit; bytes in the prefix that suits them.

    >>> amount(1_500_000, "bytes"), amount(48.7, "images")
    ('1.5 MB', '48.7 images')
    """
    if unit == "bytes":
        for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if count >= size:
                return f"{count / size:.3g} {name}"
        return f"{count:.0f} bytes"
    shown = f"{count:.0f}" if count >= 100 or count == int(count) else f"{count:.3g}"
    return shown if bare else f"{shown} {unit}"


def duration(seconds: float) -> str:
    """
    >>> duration(8), duration(510), duration(7300)
    ('8 s', '8 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
