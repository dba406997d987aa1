"""Wall-clock and CPU seconds of the stages of a run, measured by the harness alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Adds up seconds per stage until :meth:`take` hands them out.

    CPU seconds, under the stage's name with ``_cpu``, are those that ``cpu`` counts: of this process and of
    the one in which the method runs, threads included. Seconds in which a GPU was at work, with ``_gpu``, are
    those that ``gpu`` counts, where there are any.
    """

    def __init__(
        self, cpu: Callable[[], float] = time.process_time, gpu: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._cpu, self._gpu = cpu, gpu
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._running: tuple[str, float, float, float] | None = None

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        self._running = stage, time.perf_counter(), self._cpu(), self._gpu()
        try:
            yield
        finally:
            stage, *seconds = self._lapsed()
            self._running = None
            self.add(stage, *seconds)

    def add(self, stage: str, wall: float, cpu: float, gpu: float = 0.0) -> None:
        """Count seconds that were measured elsewhere."""
        self._seconds[stage] += wall
        self._seconds[f"{stage}_cpu"] += cpu
        if gpu:
            self._seconds[f"{stage}_gpu"] += gpu

    def _lapsed(self) -> tuple[str, float, float, float]:
        """The stage that is being measured, and its seconds so far."""
        assert self._running is not None
        stage, wall, cpu, gpu = self._running
        return stage, time.perf_counter() - wall, self._cpu() - cpu, self._gpu() - gpu

    def go_on(self, seconds: Mapping[str, float]) -> None:
        """Start from what :meth:`so_far` gave."""
        self._seconds.update(seconds)

    def seconds(self, stage: str) -> float:
        return self._seconds.get(stage, 0.0)

    def so_far(self) -> dict[str, float]:
        """The seconds since they were last taken, by stage, which go on adding up."""
        seconds = dict(self._seconds)
        if self._running is not None:
            stage, wall, cpu, gpu = self._lapsed()
            for name, lapsed in ((stage, wall), (f"{stage}_cpu", cpu), (f"{stage}_gpu", gpu)):
                if lapsed:
                    seconds[name] = seconds.get(name, 0.0) + lapsed
        return seconds

    def take(self) -> dict[str, float]:
        """The seconds since the last call, by stage."""
        taken = self.so_far()
        self._seconds.clear()
        return taken
