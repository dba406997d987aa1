"""The workers of a Dask cluster, as its scheduler knows them; those of this machine without an address.

The trap: a client waits for a lost scheduler, and a scheduler for workers, without end. So both are asked
every few seconds whether they are still there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bench.errors import BenchError, LostError, not_installed
from bench.running.backends import Call

_PATIENCE = 20  # seconds until a scheduler that is silent, or has no workers, counts as lost
_LOOK = 5  # seconds between two looks at the cluster
_WARNS = "distributed.admin.large-graph-warning-threshold"  # the rows of 10 million items have 80 MB
_KEPT = "Finished cells are kept: run again to continue."


@dataclass(frozen=True)
class Dask:
    """A client of the scheduler at ``address``."""

    client: Any
    address: str
    jobs: int

    def run(self, calls: Sequence[Call]) -> Iterator[Any]:
        from distributed import CancelledError, KilledWorker

        try:
            yield from self._run(calls)
        except CancelledError as error:  # of every call, once the connection is gone
            raise self._lost() from error
        except KilledWorker as error:
            raise LostError(
                "a pass killed every Dask worker that ran it, most likely because memory ran out. Finished "
                "cells are kept: give the workers more memory and run again."
            ) from error

    def _run(self, calls: Sequence[Call]) -> Iterator[Any]:
        from distributed import wait

        waiting, queue = set[Any](), iter(calls)
        while True:
            room = max(0, 2 * self.jobs - len(waiting))
            waiting |= {self.client.submit(call, pure=False) for call in islice(queue, room)}
            if not waiting:
                return
            try:
                wait(waiting, timeout=_LOOK, return_when="FIRST_COMPLETED")
            except TimeoutError:
                self._check()
            for future in [one for one in waiting if one.done()]:
                try:
                    result = future.result(timeout=_PATIENCE)
                except (TimeoutError, OSError):
                    if future.status == "error":  # of the pass itself
                        raise
                    self._check()  # a worker died with the result: another computes it
                    continue
                waiting.remove(future)
                yield result

    def _check(self) -> None:
        """Raise LostError if the scheduler does not answer, or no worker comes back to it."""
        try:
            if self.client.sync(self.client.scheduler.ncores, callback_timeout=_PATIENCE):
                return
        except OSError as error:
            raise self._lost() from error
        _await_a_worker(self.client, self.address)

    def _lost(self) -> LostError:
        return LostError(f"the Dask scheduler at {self.address} is lost. {_KEPT}")


@contextmanager
def connect(address: str) -> Iterator[Dask]:
    """The workers of the scheduler at ``address``; without one, a cluster on this machine."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise BenchError(not_installed("backend dask", "distributed", "dask")) from error
    for name in ("distributed.client", "asyncio"):  # which report a lost scheduler in many lines
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address or None, timeout=_PATIENCE, set_as_default=True)
    except (OSError, ValueError) as error:
        raise LostError(f"no Dask scheduler answers at {address!r}: {error}. Check --scheduler.") from error
    with client, dask.config.set({_WARNS: "1 TB"}):
        shown = address or client.scheduler.address
        _await_a_worker(client, shown)
        yield Dask(client, shown, sum(client.nthreads().values()))


def _await_a_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        raise LostError(
            f"the Dask scheduler at {address} has had no worker for {_PATIENCE} s. Start some "
            f"(`dask worker {address}`). {_KEPT}"
        ) from error
