"""A child process as the harness sees it: ask it, limit its time and memory, and learn why it ended."""

from __future__ import annotations

import builtins
import logging
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import progress
from bench.isolation.arena import Arena
from bench.isolation.channel import Arrays, Channel, MalformedError, Message
from bench.isolation.nursery import NurseryError, nursery
from bench.plugins import registry

AVAILABLE = hasattr(os, "fork") and hasattr(socket, "send_fds")
MODULES = (  # what a child has imported when it starts
    *("threadpoolctl", "scipy.linalg", "scipy.special"),
    *("bench.api", "bench.running.hosted", "bench.running.checked"),
)
_GIGABYTE = 1e9
_POLL = 0.02  # seconds between two looks at the memory of a child
_GRACE = 1.0  # seconds to end by itself
_seen: dict[Any, Any] = {}  # warnings that were shown


class RaisedError(Exception):
    """The code in the child raised an exception: its reason in one line, and its traceback."""

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.reason, self.trace = reason, trace


class DiedError(Exception):
    """The child has ended. ``shared``: perhaps only for what all of its work took together."""

    def __init__(self, reason: str, *, shared: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.shared = reason, shared


class Child:
    """A child process with a server, ``module:name``, that is made with ``arguments`` (JSON).

    ``memory`` limits its resident memory, in GB. ``load`` is a module of hashbench that it needs, or "".
    Whoever makes one must close it.
    """

    def __init__(
        self,
        server: str,
        modules: Sequence[str],
        *,
        memory: float | None = None,
        load: str = "",
        **arguments: Any,
    ) -> None:
        self._memory = memory
        self.allow(None)
        self._nursery = nursery(modules)
        if load:
            self._nursery.load(load)
        end, other = socket.socketpair()
        with other:
            self.pid = self._nursery.fork(other)
        self.arena = Arena()
        self._channel, self._end = Channel(end, ours=self.arena), end
        socket.send_fds(end, [b"."], [] if self.arena.file is None else [self.arena.file])
        self._died: DiedError | None = None
        self.kept: Callable[[Message], None] = lambda _: None  # takes what a training hands on
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)
        self._start: dict[str, Any] = {
            "server": server,
            "arguments": arguments,
            "path": sys.path,
            "folder": str(Path.cwd()),
            "environment": dict(os.environ),
            "level": logging.getLogger().getEffectiveLevel(),
            "terminal": progress.at_terminal(),
            "plugins": registry.adopted(),
        }

    def close(self, *, at_once: bool = False) -> None:
        """End the child, which may remove its temporary files first."""
        self._finish(0.0 if at_once else _GRACE)

    def allow(self, seconds: float | None, spent: float = 0.0) -> None:
        """Limit what is asked from now on to ``seconds``, of which some are ``spent`` already."""
        self._timeout = float("inf") if seconds is None else seconds
        self._deadline = time.monotonic() + self._timeout - spent

    def start(self) -> None:
        """Make the server."""
        self.ask("start", **self._start)

    def ask(self, kind: str, arrays: Arrays | None = None, *, most: int = 1 << 20, **values: Any) -> Message:
        """The answer to a request, whose arrays have at most ``most`` bytes."""
        if self._died is not None:
            raise self._died
        try:
            self._channel.send(kind, arrays, **values)
            return self._answer(most)
        except (EOFError, ConnectionError):
            status = self._finish(_GRACE)
            raise self._dead(_how(status), shared=status == signal.SIGKILL) from None
        except MalformedError as error:
            self._finish(0.0)
            raise self._dead(f"the process sent no proper answer ({error})") from None
        except DiedError:
            self._finish(0.0)
            raise

    def _answer(self, most: int) -> Message:
        failure: Exception | None = None
        while True:
            message = self._channel.receive(most=most, wait=self._wait)
            if message.kind == "answer":
                self.arena.hold(message.values.get("held"))
                if failure is not None:
                    raise failure
                return message
            if message.kind == "error":
                raise RaisedError(
                    _text(message, "reason").strip() or "no reason given", _text(message, "traceback")
                )
            try:
                if message.kind == "kept":
                    self.kept(message)
                else:
                    _pass_on(message)
            except Warning as error:  # which the filters of this process have turned into an exception
                failure = error

    def cpu(self) -> float:
        """The CPU seconds that the child has taken."""
        try:
            if sys.platform == "linux":  # the clock of another process: clock_getcpuclockid(3)
                return time.clock_gettime((~self.pid << 3) | 2)
            import psutil

            used = psutil.Process(self.pid).cpu_times()
            return float(used.user + used.system)
        except Exception:  # noqa: BLE001  # it has ended
            return 0.0

    def _wait(self) -> None:
        """Return when there is something to read; raise where a limit is exceeded."""
        if self._memory is None and self._deadline == float("inf"):
            return
        while True:
            self._check_memory()
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._dead(f"took longer than --timeout {self._timeout:g} s")
            if self._poll.poll(1000 * (left if self._memory is None else min(left, _POLL))):
                return

    def _check_memory(self) -> None:
        if self._memory is None:
            return
        import psutil

        try:
            used = psutil.Process(self.pid).memory_info().rss / _GIGABYTE
        except psutil.Error:  # it has ended, which reading tells
            return
        if used > self._memory:
            raise self._dead(f"used {used:.1f} GB, more than --memory {self._memory:g} GB", shared=True)

    def _dead(self, reason: str, *, shared: bool = False) -> DiedError:
        self._died = DiedError(reason, shared=shared)
        return self._died

    def _finish(self, grace: float) -> int:
        """End the child; the status with which it did."""
        if self._end.fileno() < 0:
            return 0
        self._end.close()
        self.arena.close()
        try:
            return self._nursery.end(self.pid, grace)
        except NurseryError:  # it has taken the child along
            return int(signal.SIGKILL)


def _pass_on(message: Message) -> None:
    """Show what the child said beside its answer, as if it had been said here."""
    if message.kind == "write":
        stream = sys.stdout if message.values.get("stream") == "stdout" else sys.stderr
        stream.write(_text(message, "text"))
    elif message.kind == "log":
        level = message.values.get("level")
        logger = logging.getLogger(_text(message, "name"))
        logger.log(level if type(level) is int else logging.WARNING, "%s", _text(message, "text"))
    elif message.kind == "progress":
        progress.show_with(_text(message, "text"))
    elif message.kind == "warning":
        known = getattr(builtins, _text(message, "category"), None)
        category = known if isinstance(known, type) and issubclass(known, Warning) else UserWarning
        line = message.values.get("line")
        where = _text(message, "file"), line if type(line) is int else 0
        warnings.warn_explicit(_text(message, "text"), category, *where, registry=_seen)
    else:
        raise MalformedError(f"a message {message.kind!r}")


def _text(message: Message, name: str) -> str:
    return str(message.values.get(name, ""))


def _how(status: int) -> str:
    """How a process with this wait status ended."""
    if not os.WIFSIGNALED(status):
        return f"the process ended itself with exit code {os.waitstatus_to_exitcode(status)}"
    name = signal.Signals(os.WTERMSIG(status)).name
    if name == "SIGKILL":
        return "the process was killed by SIGKILL; the system may have run out of memory"
    return f"the process ended with {name}"
