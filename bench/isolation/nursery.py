"""Starts the process that children are forked from, once for each process that needs some."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

from bench.isolation.forking import END, FORK, LOAD, REPLY, REQUEST

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); \
from bench.isolation.forking import serve; serve(int(sys.argv[1]), json.loads(sys.argv[2]))"
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # a process with threads forks badly
_HUGE_PAGES = "glibc.malloc.hugetlb=1"  # where it may: a child's first touch of memory takes a third less
_nurseries: dict[tuple[str, ...], Nursery] = {}
_lock = threading.Lock()


class NurseryError(Exception):
    """The process that children are forked from has ended."""


class Nursery:
    """The parent of child processes, which has imported some modules."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._loaded: set[str] = set()
        self._control, other = socket.socketpair()
        with other:
            file = other.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(file), json.dumps(modules), json.dumps(sys.path)],
                pass_fds=[file],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={"GLIBC_TUNABLES": _HUGE_PAGES, **os.environ, **dict.fromkeys(_POOLS, "1")},
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, end: socket.socket) -> int:
        """The process id of a new child, which has this end of a connection."""
        return self._ask(FORK, files=[end.fileno()])

    def load(self, module: str) -> None:
        """Import a module of hashbench, which children then have without an import of their own."""
        if module not in self._loaded:
            self._ask(LOAD, len(module.encode()), after=module.encode())
            self._loaded.add(module)

    def end(self, child: int, grace: float) -> int:
        """The wait status of a child, which is killed unless it ends within ``grace`` seconds."""
        return self._ask(END, child, grace)

    def _ask(
        self, kind: bytes, child: int = 0, grace: float = 0.0, files: Sequence[int] = (), after: bytes = b""
    ) -> int:
        with self._lock:
            try:
                socket.send_fds(self._control, [REQUEST.pack(kind, child, grace)], files)
                self._control.sendall(after)
                reply = self._control.recv(REPLY.size, socket.MSG_WAITALL)
            except OSError as error:
                raise NurseryError(str(error)) from error
        if len(reply) < REPLY.size:
            raise NurseryError("no answer")
        (number,) = REPLY.unpack(reply)
        return int(number)

    def close(self) -> None:
        self.forget()
        self._process.wait()

    def forget(self) -> None:
        self._control.close()


def nursery(modules: Sequence[str]) -> Nursery:
    """The one with these modules, started when it is first needed."""
    with _lock:
        known = _nurseries.get(tuple(modules))
        if known is None or not known.alive:
            known = _nurseries[tuple(modules)] = Nursery(modules)
        return known


@atexit.register
def close() -> None:
    """End all children, and the processes that they were forked from."""
    while _nurseries:
        _nurseries.popitem()[1].close()


def _forget() -> None:
    """A fork of this process starts its own."""
    for known in _nurseries.values():
        known.forget()
    _nurseries.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
