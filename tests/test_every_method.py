"""Every built-in method through the harness: class-incremental and drifting streams, both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench
from bench.plugins import registry

QUICK = {
    "ckdh": "ckdh[teacher_epochs=1,epochs=1,heads=2,width=8]",
    "ckdh_online": "ckdh_online[teacher_epochs=1,epochs=1,heads=2,width=8]",
    "dcmh": "dcmh[epochs=1]",
    "djsrh": "djsrh[epochs=2]",
    "lcdh": "lcdh[teacher_epochs=1,teacher_width=32,heads=2]",
    "lcdh_clip": "lcdh_clip[teacher_epochs=1,teacher_width=32,heads=2]",
    "lcdh_fused": "lcdh_fused[teacher_epochs=1,teacher_width=32,heads=2]",
    "ucch": "ucch[epochs=2,negatives=64]",
    "skdch": "skdch[teacher_epochs=1,epochs=1,hidden=32]",
    "skdch_online": "skdch_online[teacher_epochs=1,epochs=1,hidden=32]",
    "ukd": "ukd[teacher_epochs=1,epochs=1]",
    "ukd_online": "ukd_online[teacher_epochs=1,epochs=1]",
}
NAMES = [entry.name for entry in registry.listings("method") if entry.origin == "built-in"]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", NAMES)
def test_classes_may_come_later_and_streams_may_drift(name: str, tmp_path: Path) -> None:
    """Four groups of six classes, then a sorted stream: every evaluated round has finite scores."""
    results = bench.run(
        methods=QUICK.get(name, name),
        datasets="synthetic[n=240,queries=40]",
        bits="8,32",
        seeds=1,
        schedule="class_incremental:4,drift:80",
        database="reindexed,learned",
        evaluate="all",
        results=str(tmp_path / "runs"),
    )
    learns = registry.get("method", name).capabilities.learned_codes
    assert len(results.records) == 8
    for record in results.records:
        if record.spec.database == "learned" and not learns:
            assert record.status == "skipped"
            continue
        assert record.status == "ok", record.traceback
        assert all(0 < r.metrics["map/i2t"] <= 1 for r in record.rounds)
        assert record.rounds[-1].items == 240


@pytest.mark.skipif(not (ROOT / "methods" / "README.md").is_file(), reason="not in a checkout")
@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_methods_has_every_method(name: str) -> None:
    assert f"\n| {name} |" in (ROOT / "methods" / "README.md").read_text(encoding="utf-8")
