"""Items that methods are trained on and items that they never see: who is shown what, and what is counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import metrics
from bench.errors import ParameterError
from bench.protocol import stream
from bench.records import RunRecord, RunSpec, Schedule
from bench.scoring.hamming import Histograms, unpack_codes
from bench.storing.store import Store

Run = Callable[..., tuple[RunRecord, dict[str, np.ndarray]]]


def split_of(n: int = 60) -> Any:
    from bench.checks.trial import items

    return items(n)


def spec(train: str, **changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20), train=train, **changes)


@pytest.fixture
def run(watched: Run) -> Run:
    return partial(watched, train=0.5)


def shown(where: str) -> set[int]:
    found = sys.modules["bench_plugin_watches"].SHOWN
    return {item for place, ids in found if place == where for item in ids}


@pytest.mark.parametrize("train", ["0.5", "24"])
def test_every_round_trains_on_its_share(train: str) -> None:
    plan = stream.of(spec(train), split_of())
    counts = [len(plan.shown(rows)) for rows in plan.rounds]
    assert counts == ([10, 10, 10] if train == "0.5" else [8, 8, 8])


def test_trained_and_unseen_items_are_all_items() -> None:
    plan = stream.of(spec("0.3"), split_of())
    for rows in plan.rounds:
        parts = plan.parts(rows)
        np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.sort(rows))


def test_what_is_trained_on_at_a_smaller_share_is_at_a_larger_one() -> None:
    small, large = (stream.of(spec(train), split_of()).trained for train in ("0.2", "0.6"))
    assert small is not None and large is not None
    assert not (small & ~large).any()


def test_training_on_a_part_changes_neither_the_order_nor_the_withheld_labels() -> None:
    data = split_of()
    whole, part = (stream.of(spec(train, labelled=0.5), data) for train in ("all", "0.5"))
    for a, b in zip(whole.rounds, part.rounds, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.withheld.labels, part.withheld.labels)


@pytest.mark.parametrize("pool", ["first_chunk", "full"])
def test_a_pool_has_no_item_that_is_not_trained_on(pool: str) -> None:
    plan = stream.of(spec("0.5", pool=pool), split_of())
    assert plan.pool is not None and plan.trained is not None
    assert plan.trained[plan.pool].all()


@pytest.mark.parametrize("train", ["0", "0.0", "1.5", "-3", "half", ""])
def test_a_share_that_is_none_is_refused(train: str) -> None:
    with pytest.raises(ParameterError, match="train must be all, a share"):
        bench.run(train=[train], datasets="synthetic")


def test_more_items_than_the_stream_has_are_refused() -> None:
    with pytest.raises(ParameterError, match="exceeds the 60 items"):
        stream.of(spec("61"), split_of())


def test_training_on_every_item_under_another_name_is_refused() -> None:
    with pytest.raises(ParameterError, match="leaves none of the 60 items"):
        stream.of(spec("60"), split_of())


@pytest.mark.parametrize("text", ["0.5", ".5", "0.50"])
def test_one_share_has_one_key(text: str) -> None:
    study = bench.study.study.Study.make(None, train=text)
    assert study.train == ("0.5",)


def test_training_on_all_has_the_key_of_records_without_the_axis() -> None:
    assert spec("all").key == replace(spec("0.5"), train="all").key != spec("0.5").key


def test_a_method_is_shown_no_item_outside_its_share(run: Run) -> None:
    record, arrays = run(pool="full")
    trained = set(arrays["rows/database"][arrays["rows/trained"]].tolist())  # rows of tiny are its ids
    assert shown("chunk") == shown("pool") == trained
    assert len(trained) == 30 and record.rounds[-1].items == 60


def test_counts_of_both_parts_add_up_to_those_of_the_database(run: Run) -> None:
    part, split = run()
    whole, joint = run(train="all")  # the method learns nothing, so codes are the same
    assert part.rounds[-1].metrics == whole.rounds[-1].metrics
    for name in ("counts", "gains"):
        total = split[f"i2t/2/trained/{name}"].astype(int) + split[f"i2t/2/unseen/{name}"]
        np.testing.assert_array_equal(total, joint[f"i2t/2/{name}"])


@pytest.mark.parametrize("part", ["trained", "unseen"])
def test_scores_of_a_part_follow_from_its_counts(run: Run, part: str) -> None:
    record, arrays = run()
    hist = Histograms(arrays[f"t2i/2/{part}/counts"])
    scores = record.rounds[-1].over(part)
    assert scores.items == hist.items == 30
    assert scores.metrics["map/t2i"] == metrics.mean("map", hist)
    assert scores.empty_queries["t2i"] == metrics.empty_queries(hist)


def test_learned_codes_belong_to_trained_items_alone(run: Run) -> None:
    _, arrays = run(database="learned")
    codes = unpack_codes(arrays["codes/database/image"], 8)
    learned = (codes == 1).all(axis=1)
    assert learned[arrays["rows/trained"]].all()
    assert not learned[~arrays["rows/trained"]].all()


@pytest.mark.parametrize("database", ["reindexed", "frozen", "learned"])
def test_stored_codes_are_in_order_of_arrival(run: Run, database: str) -> None:
    _, arrays = run(database=database)
    _, joint = run(database="reindexed", train="all")
    np.testing.assert_array_equal(arrays["rows/database"], joint["rows/database"])
    unseen = ~arrays["rows/trained"]
    for m in ("image", "text"):
        np.testing.assert_array_equal(
            arrays[f"codes/database/{m}"][:, unseen], joint[f"codes/database/{m}"][:, unseen]
        )


def test_a_record_with_parts_survives_storing(tmp_path: Path, run: Run) -> None:
    record, _ = run()
    again = Store(tmp_path / "runs").read(record.spec)
    assert again == record and again is not record


def test_an_offline_method_learns_from_the_trained_items_alone(run: Run) -> None:
    record, arrays = run(methods="scm", evaluate="all")
    assert [r.parts["unseen"].items for r in record.rounds] == [10, 20, 30]
    assert arrays["rows/trained"].sum() == 30


@pytest.mark.parametrize("database", ["reindexed", "frozen", "learned"])
def test_a_round_may_leave_no_item_out_of_training(run: Run, database: str) -> None:
    record, _ = run(schedule="shuffled:2", train=0.9, database=database, evaluate="all")
    assert record.status == "ok", record.traceback
    first, last = record.rounds[0].parts["unseen"], record.rounds[-1].parts["unseen"]
    assert (first.items, last.items) == (0, 6)
    assert first.empty_queries == {"i2t": 12, "t2i": 12}
    assert last.metrics["map/i2t"] > 0


def test_a_record_with_an_empty_part_is_read_again(tmp_path: Path, run: Run) -> None:
    record, _ = run(schedule="shuffled:2", train=0.9, evaluate="all")
    store = Store(tmp_path / "runs")
    assert store.read(record.spec) is not None, store.faults
