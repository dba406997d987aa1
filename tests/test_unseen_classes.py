"""Classes that are kept out of training: who is trained on, who asks, and what counts as relevant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.archive.rescore import scores_from_codes
from bench.checks.trial import items
from bench.errors import DataError, ParameterError
from bench.protocol import classes, stream
from bench.records import RunRecord, RunSpec, Schedule
from bench.study.planner import Planner

Run = Callable[..., tuple[RunRecord, dict[str, np.ndarray]]]


def spec(share: float = 0.25, *, schedule: str = "shuffled:20", **changes: Any) -> RunSpec:
    parsed = Schedule.parse(schedule)
    return RunSpec(method="m", dataset="d", bits=8, schedule=parsed, unseen_classes=share, **changes)


@pytest.fixture
def run(watched: Run) -> Run:
    return partial(watched, unseen_classes=0.3)


def test_no_item_of_a_class_kept_out_is_trained_on() -> None:
    data = items(60)
    plan = stream.of(spec(), data)
    assert data.labels is not None and plan.trained is not None
    held = classes.held_out(spec(), data.labels.shape[1])
    np.testing.assert_array_equal(plan.trained, ~data.labels[:, held].any(axis=1))


def test_a_class_kept_out_at_a_smaller_share_is_kept_out_at_a_larger_one() -> None:
    few, many = (classes.held_out(spec(share), 20) for share in (0.2, 0.5))
    assert (few.sum(), many.sum()) == (4, 10) and not (few & ~many).any()


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.99, 3)])
def test_one_class_at_least_is_kept_out_and_one_is_left(share: float, count: int) -> None:
    assert classes.held_out(spec(share), 4).sum() == count


def test_a_share_of_items_is_drawn_from_those_of_known_classes() -> None:
    data = items(60)
    plan, half = stream.of(spec(), data), stream.of(spec(train="0.5"), data)
    assert plan.trained is not None and half.trained is not None
    assert not (half.trained & ~plan.trained).any()
    assert half.trained.sum() == round(plan.trained.sum() / 2)


@pytest.mark.parametrize("pool", ["first_chunk", "separate:20", "full"])
def test_a_pool_holds_no_class_kept_out(pool: str) -> None:
    data = items(60)
    chosen = spec(pool=pool)
    plan = stream.of(chosen, data)
    assert plan.pool is not None and data.labels is not None and len(plan.pool)
    assert not data.labels[plan.pool][:, classes.held_out(chosen, 4)].any()


def test_queries_have_a_class_kept_out_and_are_judged_by_it_alone() -> None:
    labels = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]], dtype=np.uint8)
    held = classes.held_out(spec(0.5), 4)
    rows, judged = classes.asked(spec(0.5), labels)
    np.testing.assert_array_equal(rows, np.flatnonzero(labels[:, held].any(axis=1)))
    np.testing.assert_array_equal(judged, labels[rows] * held)


def test_every_item_still_arrives_and_every_round_has_one_to_train_on() -> None:
    data = items(60)
    plan = stream.of(spec(0.5, schedule="class_incremental:4"), data)
    np.testing.assert_array_equal(np.sort(np.concatenate(plan.rounds)), np.arange(60))
    assert all(len(plan.shown(rows)) for rows in plan.rounds)


def test_a_stream_of_classes_kept_out_alone_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"leaves no item to train on: each of its 3 items.*Lower"):
        classes.merged((np.arange(3),), np.ones(3, dtype=bool))


def test_one_class_cannot_be_kept_out() -> None:
    with pytest.raises(DataError, match="two classes or more; this one has 1"):
        classes.held_out(spec(), 1)


def test_queries_without_such_a_class_are_refused() -> None:
    labels = np.zeros((3, 4), dtype=np.uint8)
    with pytest.raises(ParameterError, match=r"unseen_classes=0\.25 with seed 0: none of 3 queries.*Raise"):
        classes.asked(spec(), labels)


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(run: Run, share: float) -> None:
    with pytest.raises(ParameterError, match="unseen_classes is a share of classes, from 0 to below 1"):
        run(unseen_classes=share)


def test_no_class_kept_out_has_the_key_of_records_without_the_axis() -> None:
    assert spec(0.0).key == RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20)).key


def test_a_run_scores_unseen_classes_apart(run: Run) -> None:
    record, arrays = run()
    last = record.rounds[-1]
    assert set(last.parts) == {"trained", "unseen"} and 0 < last.queries < 12
    assert last.parts["unseen"].items == (~arrays["rows/trained"]).sum()
    assert last.parts["trained"].empty_queries["i2t"] == last.queries  # no trained item has their class
    shown = {i for place, ids in sys.modules["bench_plugin_watches"].SHOWN if place == "chunk" for i in ids}
    assert shown == set(arrays["rows/database"][arrays["rows/trained"]].tolist())


def test_validation_queries_are_of_these_classes_too(run: Run) -> None:
    record, arrays = run(val=20)
    assert record.status == "ok", record.traceback
    assert len(arrays["rows/query"]) == record.rounds[-1].queries < 20


def test_a_metric_from_codes_counts_the_same_queries(tmp_path: Path, run: Run) -> None:
    record, arrays = run()
    data = Planner().data("tiny", {}, tmp_path)
    scores = scores_from_codes(record, arrays, "map", data)
    assert scores["map/i2t"] == pytest.approx(record.rounds[-1].metrics["map/i2t"])
