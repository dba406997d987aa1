"""The process that others are forked from: it has imported what they need, and runs no stranger's code.

It ends when the process that started it does, however that ends, and takes its children along.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from bench import threads

# FORK; or END, the child, and the seconds that it has left; or LOAD, and the bytes of a name
REQUEST = struct.Struct("<cqd")
REPLY = struct.Struct("<q")  # the child that was forked, or the status with which it ended
FORK, END, LOAD = b"F", b"E", b"L"
THREADS = 1  # of every library in a child: to set another number takes 5 ms
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_PAUSE = 0.001


def serve(control: int, modules: Sequence[str]) -> None:
    """Fork and end children as ``control`` asks, until its other end is closed."""
    for module in modules:
        importlib.import_module(module)
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    gc.freeze()  # a child that collects garbage then copies no pages
    children: set[int] = set()
    with socket.socket(fileno=control) as end, threads.limit(THREADS):
        try:
            while True:
                data, files, *_ = socket.recv_fds(end, REQUEST.size, 1)
                if len(data) < REQUEST.size:
                    return
                kind, child, grace = REQUEST.unpack(data)
                if kind == FORK:
                    child = os.fork()
                    if child == 0:
                        end.close()
                        _become(files[0], library)
                    os.close(files[0])
                    children.add(child)
                    end.sendall(REPLY.pack(child))
                elif kind == LOAD:
                    name = end.recv(child, socket.MSG_WAITALL).decode()
                    with suppress(Exception):  # the child will import it and say what is wrong
                        importlib.import_module(name)
                    gc.freeze()
                    end.sendall(REPLY.pack(0))
                else:
                    children.discard(child)
                    end.sendall(REPLY.pack(_ended(child, grace)))
        except (ConnectionError, KeyboardInterrupt):
            return
        finally:
            for child in children:
                _kill(os.kill, child)
                _kill(os.killpg, child)


def _become(file: int, library: ctypes.CDLL | None) -> NoReturn:
    """Go on as the child; never return to the loop of the parent."""
    code = 1
    try:
        parent = os.getppid()
        os.setsid()  # an interrupt at the terminal is the harness's, and what a method starts ends with it
        if library is not None:
            library.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            from bench.isolation import child

            child.serve(socket.socket(fileno=file))
            code = 0
    finally:
        os._exit(code)


def _ended(child: int, grace: float) -> int:
    """The status of a child that has ended, by itself or killed when ``grace`` is over."""
    deadline = time.monotonic() + grace
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() >= deadline:
            _kill(os.kill, child)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(_PAUSE)
    _kill(os.killpg, child)  # what it has started; its own number may be another's by now
    return status


def _kill(kill: Callable[[int, int], None], child: int) -> None:
    """End a child (os.kill), or its group, which is what it has started (os.killpg)."""
    with suppress(ProcessLookupError, PermissionError):
        kill(child, signal.SIGKILL)
