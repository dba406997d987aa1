"""A child process: it answers requests, and passes on what a method prints, logs and warns of."""

from __future__ import annotations

import atexit
import importlib
import io
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from bench import progress
from bench.errors import account
from bench.isolation.arena import Lent
from bench.isolation.channel import Channel, Message
from bench.plugins import registry

Answer = tuple[Mapping[str, Any], Mapping[str, Any]]  # arrays, values
Server = Callable[[Message, Channel], Answer]


def serve(end: socket.socket) -> None:
    """Answer requests until the connection ends."""
    _, files, *_ = socket.recv_fds(end, 1, 1)
    lent = Lent(files[0]) if files else None
    channel = Channel(end, theirs=lent)
    server: Server | None = None
    while True:
        try:
            message = channel.receive()
        except (EOFError, ConnectionError):
            break
        try:
            if server is None:
                server = _started(message.values, channel)
                channel.send("answer")
            else:
                arrays, values = server(message, channel)
                del message  # whose arrays are then held by the method alone
                channel.send("answer", arrays, **values, held=lent.held() if lent else [])
        except BaseException as error:  # noqa: BLE001  # a plugin may raise anything; the harness decides
            reason, trace = account(error)
            channel.send("error", reason=reason, traceback=trace)
    atexit._run_exitfuncs()  # temporary files of a method; the interpreter's own end takes longer


def _started(start: Mapping[str, Any], channel: Channel) -> Server:
    """Become like the parent in what a method may see of a process, and make the server."""
    sys.path[:] = start["path"]
    os.chdir(start["folder"])
    os.environ.clear()
    os.environ.update(start["environment"])
    sys.stdout, sys.stderr = (_Stream(channel, name) for name in ("stdout", "stderr"))
    logging.basicConfig(handlers=[_Log(channel)], level=start["level"], force=True)
    _pass_on_warnings(channel)
    if start["terminal"]:
        progress.relay(lambda text: channel.send("progress", text=text))
    registry.adopt(start["plugins"])
    module, _, name = start["server"].partition(":")
    made: Server = getattr(importlib.import_module(module), name)(**start["arguments"])
    return made


class _Stream(io.TextIOBase):
    """Passes text on to a stream of the parent."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel, self._name = channel, name

    def write(self, text: str) -> int:
        self._channel.send("write", stream=self._name, text=text)
        return len(text)


class _Log(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send("log", name=record.name, level=record.levelno, text=record.getMessage())


def _pass_on_warnings(channel: Channel) -> None:
    """The parent decides whether a warning is shown; here it is passed on once for each place."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        known = next(base.__name__ for base in category.__mro__ if base.__module__ == "builtins")
        channel.send("warning", text=str(message), category=known, file=filename, line=lineno)

    warnings.simplefilter("default")
    warnings.showwarning = show
