"""Progress on standard error: nested tasks, such as a sweep, its cell, a round and an epoch of training.

At a terminal one line is rewritten, at most ten times a second, and shows the tasks under way from the
outermost to the innermost. Elsewhere only counted tasks print, a line in 30 s. Every process, worker or not,
may write: a line is one write, so that those of several workers take turns and never mix.

May import: printing, units.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from bench.printing import Steering, shown
from bench.units import roughly, size

QUIET = "BENCH_QUIET"  # the variable that silences progress, in workers and children too
VERBOSE = "BENCH_VERBOSE"  # the variable that adds the lines of `detail`
_ERASE = "\r\x1b[K"
_PAUSE = 0.1  # seconds between two lines at a terminal: nobody reads faster, and work must not wait for it
_RARELY = 30.0  # and elsewhere


class _Display(threading.local):
    """What this thread has under way, and when it last wrote."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.last = 0.0


_display = _Display()
_log: Path | None = None
_relayed: Callable[[str], None] | None = None  # in a child process: shows a text on its parent's line


def relay(show: Callable[[str], None]) -> None:
    """From now on give the texts of this process to ``show``, for a terminal elsewhere."""
    global _relayed
    _relayed = show


def show_with(text: str) -> None:
    """Show the tasks under way, and followed by the text of a process that works for them."""
    _rewrite(", ".join(filter(None, [*map(str, _display.tasks), text])))


class Task:
    """A piece of work that is shown while its ``with`` block runs.

    A task with a ``unit`` counts, up to ``total`` or without end, and leaves its last line:
    ``clip: 96 of 200 images, 31.2 images/s, 3 s left``. A task with ``each`` goes step by step:
    ``student: epoch 3 of 20``; nothing of it stays. ``moved`` gets the share of its steps that are done.
    ``partly`` is the work done on steps that have not ended, in steps, which the time left counts too.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        unit: str = "",
        *,
        each: str = "",
        moved: Callable[[float], None] | None = None,
    ) -> None:
        self.label, self.total, self.unit, self.each, self._moved = label, total, unit, each, moved
        self.done = self._first = 0
        self.partly = 0.0
        self._started = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        _display.tasks.append(self)
        self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self in _display.tasks:  # else a task around it has ended, and this one with it
            del _display.tasks[_display.tasks.index(self) :]
        if self.unit and (kind is None or at_terminal()):
            say(str(self))
        elif not _display.tasks:
            _rewrite("")

    def skip(self, count: int) -> None:
        """Count what an earlier attempt has done, which says nothing about the rate."""
        self.done += count
        self._first += count

    def advance(self, count: int = 1) -> None:
        self.done += count
        self._show()

    def reach(self, done: int) -> None:
        """Go on where ``done`` steps are done."""
        self.done = done
        if self._moved is not None and self.total:
            self._moved(done / self.total)
        self._show()

    def finish(self, *texts: str) -> None:
        """End steps with a line each that stays, the last with the time left: ``[3/12] text  (8 min left)``.

        Steps that end together are finished together: the first alone would say nothing about the rate.
        """
        before, self.done = self.done, self.done + len(texts)
        for number, text in enumerate(texts, before + 1):
            left = f"  ({roughly(self.left)} left)" if number == self.done < (self.total or 0) else ""
            say(f"[{number:{len(str(self.total))}}/{self.total}] {text}{left}")

    @property
    def rate(self) -> float:
        """Units or steps per second since the start."""
        return (self.done + self.partly - self._first) / max(time.monotonic() - self._started, 1e-9)

    @property
    def left(self) -> float:
        """Seconds to the end at this rate; 0 where it is not known."""
        rest = max(0.0, (self.total or 0) - self.done - self.partly)
        return rest / self.rate if self.rate else 0.0

    def __str__(self) -> str:
        """
        >>> clip = Task("clip", 200, "images")
        >>> clip.skip(200)
        >>> str(clip), str(Task("student", 20, each="epoch"))
        ('clip: 200 of 200 images', 'student: epoch 1 of 20')
        """
        named = f"{self.label}: " if self.label else ""
        if self.each:
            return f"{named}{self.each} {min(self.done + 1, self.total or 0)} of {self.total}"
        if not self.unit:
            return self.label
        share = f" of {amount(self.total, self.unit)}" if self.total is not None else f" {self.unit}"
        text = f"{named}{amount(self.done, self.unit, bare=self.total is not None)}{share}"
        if self.done == self._first:
            return text
        text += f", {amount(self.rate, self.unit)}/s"
        return text + (f", {roughly(self.left)} left" if self.left > 0 else "")

    def _show(self) -> None:
        now = time.monotonic()
        soon, late = now - _display.last >= _PAUSE, now - self._printed >= _RARELY
        if not (soon or (self.unit and late)):  # asking for a terminal is a system call
            return
        if soon:
            _display.last = now
        if at_terminal():
            if soon:
                _rewrite(", ".join(filter(None, map(str, _display.tasks))))
        elif self.unit and late:
            self._printed = now
            say(str(self))


def passes(stage: str, count: int) -> Iterator[int]:
    """``range(count)`` for the passes over the items in a training, shown as ``student: epoch 3 of 20``.

    Without a terminal nothing is printed.
    """
    with Task(stage, count, each="epoch") as task:
        for epoch in range(count):
            yield epoch
            task.advance()


def say(text: str) -> None:
    """Print a line that stays, in place of the one that is rewritten, and log it.

    Nothing is printed where BENCH_QUIET is set.
    """
    note(text)
    if os.environ.get(QUIET):
        return
    _write((_ERASE if at_terminal() else "") + shown(text) + "\n")


def verbose() -> bool:
    """Whether BENCH_VERBOSE asks for the lines of :func:`detail`."""
    return bool(os.environ.get(VERBOSE))


def detail(text: str) -> None:
    """Print a line that stays, where BENCH_VERBOSE is set."""
    if verbose():
        say(text)


def log_to(file: Path | None) -> None:
    """From now on append lines that stay to ``file`` too, each with its time."""
    global _log
    _log = file


def note(text: str) -> None:
    """Append a line to the log, if there is one, and print nothing."""
    if _log is not None:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        with suppress(OSError), _log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"{now}  {shown(text)}\n")


def at_terminal() -> bool:
    """Whether a line can be rewritten."""
    return not os.environ.get(QUIET) and (_relayed is not None or sys.stderr.isatty())


def _rewrite(text: str) -> None:
    if not at_terminal():
        return
    if _relayed is not None:
        _relayed(text)
    else:
        room, text = shutil.get_terminal_size().columns - 1, shown(text)
        _write(_ERASE + (text if len(text) <= room else f"…{text[1 - room :]}"))  # the end tells most


def _write(text: str) -> None:
    with suppress(OSError):  # a closed pipe or a full disk ends the lines and not the work
        sys.stderr.write(Steering(text))
        sys.stderr.flush()


def amount(count: float, unit: str, *, bare: bool = False) -> str:
    """A count with its unit; bytes in the prefix that suits them.

    >>> amount(1_500_000, "bytes"), amount(48.7, "images")
    ('1.50 MB', '48.7 images')
    """
    if unit == "bytes":
        return size(count)
    shown = f"{count:.0f}" if count >= 100 or count == int(count) else f"{count:.3g}"
    return shown if bare else f"{shown} {unit}"
