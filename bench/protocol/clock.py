"""Wall-clock and CPU seconds of the stages of a run, measured by the harness alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Adds up seconds per stage until :meth:`take` hands them out.

    CPU seconds are the whole process's, threads included, under the stage's name with ``_cpu``.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - wall, time.process_time() - cpu)

    def add(self, stage: str, wall: float, cpu: float) -> None:
        """Count seconds that were measured elsewhere."""
        self._seconds[stage] += wall
        self._seconds[f"{stage}_cpu"] += cpu

    def go_on(self, seconds: Mapping[str, float]) -> None:
        """Start from what :meth:`so_far` gave."""
        self._seconds.update(seconds)

    def seconds(self, stage: str) -> float:
        return self._seconds.get(stage, 0.0)

    def so_far(self) -> dict[str, float]:
        """The seconds since they were last taken, by stage, which go on adding up."""
        return dict(self._seconds)

    def take(self) -> dict[str, float]:
        """The seconds since the last call, by stage."""
        taken = self.so_far()
        self._seconds.clear()
        return taken
