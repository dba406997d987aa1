"""Every built-in method through the harness: class-incremental and drifting streams, both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.plugins import registry

NAMES = [entry.name for entry in registry.listings("method") if entry.origin == "built-in"]
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_classes_may_come_later_and_streams_may_drift(
    name: str, quick: Callable[[str], dict[str, Any]], feeds: Callable[[str], str], tmp_path: Path
) -> None:
    """Four groups of classes, then a sorted stream: every evaluated round has finite scores."""
    data = feeds(name)
    settings = ",".join(f"{key}={value}" for key, value in quick(name).items())
    results = bench.run(
        methods=f"{name}[{settings}]" if settings else name,
        datasets=data,
        bits="16",
        seeds=1,
        train="all",
        schedule="class_incremental:4,drift:80",
        database="reindexed,learned",
        evaluate="all",
        results=str(tmp_path / "runs"),
    )
    learns = registry.get("method", name).capabilities.learned_codes
    assert len(results.records) == 4
    for record in results.records:
        if record.spec.database == "learned" and not learns:
            assert record.status == "skipped"
            continue
        assert record.status == "ok", record.traceback
        assert all(0 < r.metrics["map/i2t"] <= 1 for r in record.rounds)
        assert f"n={record.rounds[-1].items}," in data


@pytest.mark.skipif(not (ROOT / "methods" / "README.md").is_file(), reason="not in a checkout")
@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_methods_has_every_method(name: str) -> None:
    assert f"\n| {name} |" in (ROOT / "methods" / "README.md").read_text(encoding="utf-8")
