"""Wall-clock and CPU seconds of the stages of a run, measured by the harness alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Adds up seconds per stage until :meth:`take` hands them out.

    CPU seconds, under the stage's name with ``_cpu``, are those that ``cpu`` counts: of this process and of
    the one in which the method runs, threads included.
    """

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), self._cpu()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - wall, self._cpu() - cpu)

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
