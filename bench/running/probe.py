"""Measures cells by their first chunk, in a process of its own that ends when the time is up.

That process runs code of plugins, so what it sends is JSON, which is checked.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

import psutil

from bench import threads
from bench.contract.items import MODALITIES
from bench.disk.form import mismatch
from bench.isolation import declarations
from bench.plugins import registry
from bench.protocol.shown import chunk, encode, shown, skip_reason
from bench.study.planned import PlannedCell

Key = TypeVar("Key")
_MOST = 1 << 10  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Probe:
    """Wall-clock seconds of a cell, None where its first chunk failed; and bytes of memory of its process."""

    seconds: float | None
    memory: int


def probes(cells: Mapping[Key, PlannedCell], *, seconds: float) -> dict[Key, Probe]:
    """Probe as many of ``cells`` as ``seconds`` allow, one after the other in the order given."""
    probed: dict[Key, Probe] = {}
    if not cells or seconds <= 0:
        return probed
    end, context = time.monotonic() + seconds, multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    work = (sender, list(cells.values()), registry.adopted())
    child = context.Process(target=_send_probes, args=work, daemon=True)
    child.start()
    sender.close()
    try:
        for key in cells:
            if not receiver.poll(max(end - time.monotonic(), 0)):
                break
            probed[key] = _read(receiver.recv_bytes(_MOST))
    except (EOFError, OSError, ValueError):  # the cell ended the process, or sent something else
        probed[key] = Probe(None, 0)
    finally:
        child.kill()
        child.join()
        receiver.close()
    return probed


def _read(sent: bytes) -> Probe:
    stored = json.loads(sent)
    if problem := mismatch(stored, Probe, "probe"):
        raise ValueError(problem)
    return Probe(**stored)


def _send_probes(
    sender: Connection, cells: Sequence[PlannedCell], plugins: Mapping[str, Sequence[str]]
) -> None:
    registry.adopt(plugins)
    for cell in cells:
        sender.send_bytes(json.dumps(asdict(_probe(cell))).encode())


def _probe(cell: PlannedCell) -> Probe:
    try:
        loaded = "torch" in sys.modules
        seconds: float | None = _measured(cell)
        if "torch" in sys.modules and not loaded:  # loading it is no part of a cell
            seconds = _measured(cell)
    except Exception:  # noqa: BLE001  # a plugin may raise anything; the run will show it
        seconds = None
    return Probe(seconds, psutil.Process().memory_info().rss)


def _measured(cell: PlannedCell) -> float:
    """Seconds for the entire stream, from fitting and encoding the first chunk of it."""
    spec, train, cls = cell.spec, cell.dataset.train, declarations.actual(cell.method)
    if skip_reason(cls, train, spec):
        return 0.0
    plan = cell.plan
    method = cls(bits=spec.bits, seed=spec.seed, **spec.params)
    first = chunk(train, plan.shown(plan.rounds[0]), cls.capabilities, 0, plan.withheld)
    with threads.limit(1):
        started = time.perf_counter()
        if plan.pool is not None and cls.capabilities.pool:
            method.fit_pool(shown(train, plan.pool, cls.capabilities, plan.withheld))
        offline = time.perf_counter() - started
        method.fit_chunk(first)
        for modality in MODALITIES:
            if first.batch(modality).present.any():  # else no function hashes it yet
                encode(method, train, modality, plan.rounds[0])
        per_item = (time.perf_counter() - started - offline) / len(plan.rounds[0])
    return offline + per_item * sum(len(rows) for rows in plan.rounds)
