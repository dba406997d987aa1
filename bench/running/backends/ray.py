"""The workers of a Ray cluster; without an address, those of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bench.errors import BenchError, LostError, not_installed, said
from bench.running.backends import Call


@dataclass(frozen=True)
class Ray:
    """A connection to the cluster."""

    jobs: int

    def run(self, calls: Sequence[Call]) -> Iterator[Any]:
        import ray

        remote = ray.remote(_called)
        waiting, queue = list[Any](), iter(calls)
        while True:
            waiting += [remote.remote(call) for call in islice(queue, max(0, 2 * self.jobs - len(waiting)))]
            if not waiting:
                return
            done, waiting = ray.wait(waiting)
            for one in done:
                try:
                    yield ray.get(one)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    raise LostError(
                        f"Ray lost a worker: {said(error)[0]} Finished cells are kept: run again to continue."
                    ) from error


def _called(call: Call) -> Any:
    return call()


@contextmanager
def connect(address: str) -> Iterator[Ray]:
    """The cluster at ``address``; without one, one on this machine that ends with the block."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning of a change to come
    try:
        import ray
    except ImportError as error:
        raise BenchError(not_installed("backend ray", "ray", "ray")) from error
    try:
        ray.init(
            address=address or None,
            ignore_reinit_error=True,
            include_dashboard=False if not address else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise LostError(f"no Ray cluster answers at {address!r}: {error}. Check --scheduler.") from error
    try:
        yield Ray(int(ray.cluster_resources().get("CPU", 1)))
    finally:
        ray.shutdown()
