"""Speed is measured only where it is asked for: ``pytest tests/benchmarks --benchmark-enable``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
        reason = "speed is measured with --benchmark-enable only"
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


Timed = Callable[[Callable[[], object]], Callable[[], float]]


class Race(Protocol):
    def __call__(
        self, ours: Callable[[], object], peers: Mapping[str, Callable[[], float]], rounds: int = 5
    ) -> dict[str, float]: ...


@pytest.fixture
def timed() -> Timed:
    """Makes of some work a peer: a function that does it and returns the seconds it took."""

    def peer(work: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

        work()
        return seconds

    return peer


@pytest.fixture
def race(benchmark: Any) -> Race:
    """How many times faster ``ours`` is than each peer: the median over rounds in which all ran.

    A peer is a function that returns its own seconds, scaled up where it ran on a part.
    """

    def run(
        ours: Callable[[], object], peers: Mapping[str, Callable[[], float]], rounds: int = 5
    ) -> dict[str, float]:
        seconds: dict[str, list[float]] = {name: [] for name in peers}

        def setup() -> None:
            for name, peer in peers.items():
                seconds[name].append(peer())
            time.sleep(0.2)  # threads of BLAS and OpenMP spin for a while after a call

        ours()
        benchmark.pedantic(ours, setup=setup, rounds=rounds)
        mine = benchmark.stats.stats.data
        ratios = {
            name: statistics.median(t / m for t, m in zip(theirs, mine, strict=True))
            for name, theirs in seconds.items()
        }
        benchmark.extra_info.update({f"times faster than {name}": round(r, 1) for name, r in ratios.items()})
        benchmark.extra_info.update(
            {f"seconds of {name}": statistics.median(t) for name, t in seconds.items()}
        )
        return ratios

    return run
