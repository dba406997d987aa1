"""Labels that arrive after their items: who waits, and what the database holds meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.checks.trial import items
from bench.errors import ParameterError
from bench.plugins import registry
from bench.protocol import stream
from bench.records import RunRecord, RunSpec, Schedule
from bench.running.hosts import Isolation
from bench.storing.store import Store

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    if watches := sys.modules.get("bench_plugin_watches"):  # another test has used it
        watches.SHOWN.clear()


def spec(**changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20), **changes)


def run(tmp_path: Path, **options: Any) -> tuple[RunRecord, dict[str, np.ndarray]]:
    default = {
        "methods": "watches",
        "datasets": "tiny",
        "bits": 8,
        "seeds": 1,
        "train": "all",
        "evaluate": "all",
    }
    plugins, folder = [str(PLUGINS / f"{name}.py") for name in ("watches", "tiny")], tmp_path / "runs"
    how: Any = {"plugin": plugins, "results": str(folder), "isolation": Isolation(in_process=True)}
    (record,) = bench.run(**{**default, "schedule": "shuffled:10", **options}, **how).records
    return record.over("all"), dict(Store(folder).arrays(record)) if record.arrays else {}


def chunks() -> list[set[int]]:
    shown = sys.modules["bench_plugin_watches"].SHOWN
    return [set(ids) for place, ids in shown if place == "chunk"]


def test_a_supervised_method_learns_from_a_chunk_when_its_labels_arrive(tmp_path: Path) -> None:
    record, arrays = run(tmp_path, delay=2)
    rows = arrays["rows/database"].tolist()  # of tiny, they are the ids
    assert chunks() == [set(rows[start : start + 10]) for start in (0, 10, 20, 30)]
    assert [r.round for r in record.rounds] == [2, 3, 4, 5]


def test_items_enter_the_database_when_they_arrive(tmp_path: Path) -> None:
    record, _ = run(tmp_path, delay=2)
    assert [r.items for r in record.rounds] == [30, 40, 50, 60]


def test_a_method_that_reads_no_labels_does_not_wait(tmp_path: Path) -> None:
    late, _ = run(tmp_path, methods="cca", delay=2)
    assert len(late.fit_seconds) == len(late.rounds) == 4
    at_once, _ = run(tmp_path, methods="cca", delay=0)
    assert at_once.rounds[-1].metrics == late.rounds[-1].metrics


def test_an_offline_method_that_reads_labels_waits_for_them(tmp_path: Path) -> None:
    late, _ = run(tmp_path, methods="scm", delay=5)
    first, _ = run(tmp_path, methods="scm")
    assert [r.items for r in late.rounds] == [60]
    assert late.rounds[-1].metrics != first.rounds[-1].metrics


@pytest.mark.parametrize("options", [{"database": "frozen"}, {"rehash": "every:2"}, {"rehash": "trigger:0"}])
def test_a_delay_goes_with_every_policy_of_old_codes(tmp_path: Path, options: dict[str, str]) -> None:
    record, _ = run(tmp_path, methods="lemon", delay=2, **options)
    assert record.status == "ok", record.traceback
    assert [r.items for r in record.rounds] == [30, 40, 50, 60]


def test_a_delay_as_long_as_the_stream_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"delay=3: the stream shuffled:20 has 3 rounds.*Use at most 2"):
        stream.of(spec(delay=3), items(60))


def test_a_delay_as_long_as_the_stream_stops_the_study_before_it_runs(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no label arrives in time"):
        run(tmp_path, delay="0,6")
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_a_delay_below_nought_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="delay must be a number of rounds, 0 or more; got -1"):
        run(tmp_path, delay=-1)


def test_a_delay_leaves_no_learned_codes_to_search(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="delay=1 leaves new items without learned codes"):
        run(tmp_path, delay=1, database="learned")


def test_no_delay_has_the_key_of_records_without_the_axis() -> None:
    assert spec(delay=0).key == spec().key != spec(delay=1).key
