"""Labels that arrive after their items: who waits, and what the database holds meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.checks.trial import items
from bench.errors import ParameterError
from bench.protocol import stream
from bench.records import RunRecord, RunSpec, Schedule

Run = Callable[..., tuple[RunRecord, dict[str, np.ndarray]]]


def spec(**changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20), **changes)


@pytest.fixture
def run(watched: Run) -> Run:
    return partial(watched, schedule="shuffled:10")


def chunks() -> list[set[int]]:
    shown = sys.modules["bench_plugin_watches"].SHOWN
    return [set(ids) for place, ids in shown if place == "chunk"]


def test_a_supervised_method_learns_from_a_chunk_when_its_labels_arrive(run: Run) -> None:
    record, arrays = run(delay=2)
    rows = arrays["rows/database"].tolist()  # of tiny, they are the ids
    assert chunks() == [set(rows[start : start + 10]) for start in (0, 10, 20, 30)]
    assert [r.round for r in record.rounds] == [2, 3, 4, 5]


def test_items_enter_the_database_when_they_arrive(run: Run) -> None:
    record, _ = run(delay=2)
    assert [r.items for r in record.rounds] == [30, 40, 50, 60]


def test_a_method_that_reads_no_labels_does_not_wait(run: Run) -> None:
    late, _ = run(methods="cca", delay=2)
    assert len(late.fit_seconds) == len(late.rounds) == 4
    at_once, _ = run(methods="cca", delay=0)
    assert at_once.rounds[-1].metrics == late.rounds[-1].metrics


def test_an_offline_method_that_reads_labels_waits_for_them(run: Run) -> None:
    late, _ = run(methods="scm", delay=5)
    first, _ = run(methods="scm")
    assert [r.items for r in late.rounds] == [60]
    assert late.rounds[-1].metrics != first.rounds[-1].metrics


@pytest.mark.parametrize("options", [{"database": "frozen"}, {"rehash": "every:2"}, {"rehash": "trigger:0"}])
def test_a_delay_goes_with_every_policy_of_old_codes(run: Run, options: dict[str, str]) -> None:
    record, _ = run(methods="lemon", delay=2, **options)
    assert record.status == "ok", record.traceback
    assert [r.items for r in record.rounds] == [30, 40, 50, 60]


def test_a_delay_as_long_as_the_stream_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"delay=3: the stream shuffled:20 has 3 rounds.*Use at most 2"):
        stream.of(spec(delay=3), items(60))


def test_a_delay_as_long_as_the_stream_stops_the_study_before_it_runs(tmp_path: Path, run: Run) -> None:
    with pytest.raises(ParameterError, match="no label arrives in time"):
        run(delay="0,6")
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_a_delay_below_nought_is_refused(run: Run) -> None:
    with pytest.raises(ParameterError, match="delay must be a number of rounds, 0 or more; got -1"):
        run(delay=-1)


def test_a_delay_leaves_no_learned_codes_to_search(run: Run) -> None:
    with pytest.raises(ParameterError, match="delay=1 leaves new items without learned codes"):
        run(delay=1, database="learned")


def test_no_delay_has_the_key_of_records_without_the_axis() -> None:
    assert spec(delay=0).key == spec().key != spec(delay=1).key
