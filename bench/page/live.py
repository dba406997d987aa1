"""The live page of a results folder: finished, running and failed cells, and the time left.

It only reads. The trap: a cell counts as running only while the process lives that said so
(bench/storing/traces.py).
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from bench.errors import BenchError
from bench.page.build import page
from bench.printing import json_text
from bench.records import RunRecord, RunSpec
from bench.storing import traces
from bench.storing.reading import RecordError, read_record
from bench.storing.store import stale_reason

HOST = "127.0.0.1"
LATEST = 12  # records shown, the newest first
TROUBLE = 50  # failed cells shown
_SCRIPTS = ("dom.js", "live.js")


class Watch:
    """A results folder as it is now; a record is read again only when its file has changed.

    ``specs`` are the cells of a study: only they are counted, and those that neither have a record nor run
    are missing.
    """

    def __init__(self, folder: Path, specs: Sequence[RunSpec] = ()) -> None:
        self.folder, self.specs = folder, specs
        self._wanted = {spec.key for spec in specs}
        self._read: dict[str, tuple[int, dict[str, Any] | None]] = {}  # file → its time and entry
        self._lock = Lock()

    def status(self) -> dict[str, Any]:
        """The state that the page shows, as plain JSON values; times are in seconds since 1970."""
        with self._lock:
            entries = self._entries()
        if self._wanted:
            entries = [e for e in entries if e["key"] in self._wanted]
        left = traces.read(self.folder)
        running = [t for t in left if t.kind == "cells" and t.alive is not False]
        counts = Counter(e["status"] for e in entries)
        if self._wanted:
            begun = {key for t in running for key in t.cells} | {e["key"] for e in entries}
            counts["missing"] = len(self._wanted - begun)
        entries.sort(key=lambda e: e["time"], reverse=True)
        return {
            "folder": str(self.folder),
            "now": time.time(),
            "study": len(self._wanted),
            "counts": dict(counts),
            "sweeps": [_sweep(t) for t in left if t.kind == "sweep"],
            "running": [{"text": text, "since": t.since} for t in running for text in t.cells.values()],
            "latest": entries[:LATEST],
            "failed": [e for e in entries if e["status"] == "failed"][:TROUBLE],
        }

    def _entries(self) -> list[dict[str, Any]]:
        found = {}
        for path in self.folder.glob("[!.]*.json"):
            try:
                changed = path.stat().st_mtime_ns
            except FileNotFoundError:  # replaced at this moment
                continue
            known = self._read.get(path.name)
            found[path.name] = known if known and known[0] == changed else (changed, _entry(path, changed))
        self._read = found
        return [entry for _, entry in found.values() if entry is not None]


def _entry(path: Path, changed: int) -> dict[str, Any] | None:
    try:
        record = read_record(path)
    except RecordError:  # `bench status` says why
        return None
    old = stale_reason(record)
    return {
        "key": record.spec.key,
        "text": str(record.spec),
        "status": "stale" if old else "done" if record.status == "ok" else record.status,
        "reason": old or record.reason,
        "time": changed / 1e9,
        "map": _last(record),
        "fit": sum(record.fit_seconds),
    }


def _last(record: RunRecord) -> dict[str, float]:
    """mAP after the last round by direction."""
    if not record.rounds:
        return {}
    found = {d: record.rounds[-1].metrics.get(f"map/{d}") for d in record.spec.directions}
    return {d: value for d, value in found.items() if value is not None and math.isfinite(value)}


def _sweep(trace: traces.Trace) -> dict[str, Any]:
    """A sweep and, at the pace of what it has finished, the seconds that are left."""
    left = None
    if trace.alive and trace.finished:
        left = (time.time() - trace.since) / trace.finished * (trace.total - trace.finished)
    names = ("host", "pid", "since", "jobs", "total", "finished", "failed", "alive")
    return {**{name: getattr(trace, name) for name in names}, "left": left}


class _Handler(BaseHTTPRequestHandler):
    """Two addresses: the page and its data."""

    server: _Server
    timeout = 10  # seconds that a connection may be silent

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.names:  # another site's name for this machine
            self._answer(403, "text/plain", "This page is for this machine only.")
        elif self.path == "/":
            self._answer(
                200, "text/html", page("live.html", _SCRIPTS, policy="connect-src 'self'; img-src data:")
            )
        elif self.path == "/status.json":
            self._answer(200, "application/json", json_text(self.server.watch.status()))
        else:
            self._answer(404, "text/plain", "Not found.")

    def _answer(self, code: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a page that asks every two seconds would fill the terminal."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, watch: Watch, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.watch = watch
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, but not that a browser has left."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def server(watch: Watch, port: int) -> ThreadingHTTPServer:
    """A server for this machine only; port 0 picks a free one. ``serve_forever()`` starts it."""
    try:
        return _Server(watch, port)
    except (OSError, OverflowError) as error:
        reason = str(error).rstrip(".")
        raise BenchError(
            f"port {port} of {HOST} cannot be used: {reason}. Choose another, or 0 for a free one."
        ) from error
