"""Planned cells: every plugin is looked up once, every stream is cut once, whoever needs it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.plugins import registry
from bench.protocol import stream

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each plugin is looked up from here on."""
    counts: Counter[str] = Counter()
    plain = registry.get

    def get(kind: str, name: str) -> Any:
        counts[f"{kind} {name}"] += 1
        return plain(kind, name)

    monkeypatch.setattr(registry, "get", get)
    return counts


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stream is cut from here on."""
    counts: Counter[str] = Counter()
    plain = stream.plan

    def plan(n: int, labels: Any, **how: Any) -> stream.Plan:
        counts[f"seed {how['seed']}, pool {how['pool']}"] += 1
        return plain(n, labels, **how)

    monkeypatch.setattr(stream, "plan", plan)
    return counts


def options(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    plugins = [str(PLUGINS / f"{name}.py") for name in ("halves", "shares", "tiny")]
    small = {"methods": "halves,lemon", "datasets": "tiny", "bits": "8,12", "seeds": 2, "plugin": plugins}
    return {**small, "results": str(tmp_path / "runs"), **changes}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_looks_every_plugin_up_once_and_cuts_every_stream_once(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str], jobs: int
) -> None:
    assert len(bench.run(**options(tmp_path, jobs=jobs)).records) == 8
    assert looked_up == {"method halves": 1, "method lemon": 1, "dataset tiny": 1}
    assert cuts == {"seed 0, pool none": 1, "seed 1, pool none": 1}
