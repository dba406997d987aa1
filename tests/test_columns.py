"""What the cells of a column share: one chance level for the same items and queries, and threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.errors import StoreError
from bench.records import PartRecord, RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.columns import check_chance, uneven_threads
from bench.results import Results


def record(
    chance: float = 0.4, *, rounds: tuple[int, ...] = (4,), threads: int = 1, **changes: Any
) -> RunRecord:
    fields: dict[str, Any] = {"method": "a", "dataset": "wiki", "bits": 16, **changes}
    spec = RunSpec(schedule=fields.pop("schedule", Schedule("shuffled", 100)), **fields)
    scores = {
        f"{name}/{d}": value for d in ("i2t", "t2i") for name, value in (("map", 0.5), ("chance", chance))
    }
    entries = [
        RoundRecord(
            round=number, items=500, queries=50, empty_queries={"i2t": 0, "t2i": 0}, metrics=scores,
            seconds={}, bits_rewritten=None, state_bytes=0,
        )
        for number in rounds
    ]  # fmt: skip
    return RunRecord(
        spec=spec, status="ok", rounds=tuple(entries), data="d", fidelity="textbook",
        environment={"threads": threads},
    )  # fmt: skip


def with_part(one: RunRecord, chance: float) -> RunRecord:
    """The same cell with scores over unseen items."""
    part = PartRecord(items=250, empty_queries={}, metrics={"chance/i2t": chance})
    return replace(one, rounds=(replace(one.rounds[-1], parts={"unseen": part}),))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "b"},
        {"bits": 64},
        {"params": {"alpha": 1}},
        {"database": "learned"},
        {"labelled": 0.5},
        {"pool": "full"},
        {"evaluate": "all"},
        {"seed": 1},
        {"schedule": Schedule("drift", 50)},
    ],
)
def test_cells_that_search_the_same_items_have_one_chance_level(changes: Any) -> None:
    with pytest.raises(StoreError, match=r"chance/i2t is 0\.4 for a on wiki.* and 0\.41 for"):
        check_chance([record(), record(0.41, **changes)])


def test_the_error_names_both_records() -> None:
    with pytest.raises(
        StoreError, match=r"a on wiki, 16 bits, seed 0.*b on wiki, 32 bits, seed 0, reindexed"
    ):
        check_chance([record(), record(0.41, method="b", bits=32)])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, {"dataset": "fashion"}),
        ({}, {"unseen_classes": 0.25}),
        ({"unseen_classes": 0.25}, {"unseen_classes": 0.25, "seed": 1}),
        ({}, {"dataset_params": {"seed": 1}}),
        ({"val": 10}, {"val": 10, "seed": 1}),
        ({"val": 10}, {"val": 20}),
        ({"pool": "separate:9"}, {"pool": "separate:9", "seed": 1}),
        ({"pool": "separate:9"}, {"pool": "separate:8"}),
        ({"pool": "separate:9"}, {}),
        ({"rounds": (3, 4)}, {"rounds": (4,), "seed": 1, "chance": 0.4}),
    ],
)
def test_cells_that_search_other_items_may_differ(one: Any, two: Any) -> None:
    check_chance([record(**one), record(**{"chance": 0.41, **two})])


def test_before_the_last_round_seeds_may_differ_and_methods_may_not() -> None:
    early = record(rounds=(3, 4))
    moved = replace(early.rounds[0], metrics={"chance/i2t": 0.3})

    def other(**changes: Any) -> RunRecord:
        return replace(record(rounds=(3, 4), **changes), rounds=(moved, early.rounds[1]))

    check_chance([early, other(seed=1)])
    with pytest.raises(StoreError, match=r"chance/i2t is 0\.4 for a on wiki.* and 0\.3 for b on wiki"):
        check_chance([early, other(method="b")])


def test_chance_over_unseen_items_depends_on_the_share_of_training() -> None:
    half, other = with_part(record(train="0.5"), 0.3), with_part(record(train="0.2"), 0.2)
    check_chance([half, other])
    with pytest.raises(StoreError, match=r"chance/i2t is 0\.3"):
        check_chance([half, with_part(record(train="0.5", method="b"), 0.31)])


def test_chance_over_unseen_items_depends_on_the_seed_that_draws_them() -> None:
    check_chance([with_part(record(train="0.5"), 0.3), with_part(record(train="0.5", seed=1), 0.31)])


def test_a_level_is_compared_up_to_the_last_bits_and_nan_equals_nan() -> None:
    check_chance([record(), record(0.4 * (1 + 1e-14), method="b")])
    check_chance([record(float("nan")), record(float("nan"), method="b")])


def test_a_table_of_records_that_disagree_on_chance_is_an_error_and_no_mean() -> None:
    with pytest.raises(StoreError, match="expected one level"):
        Results([record(), record(0.41, method="b")]).table()


def test_cells_on_other_threads_than_their_column_are_named() -> None:
    records = [record(seed=0), record(seed=1), record(seed=2, threads=4)]
    assert uneven_threads(records) == [(records[2], "ran on 4 threads, most of the column on 1")]
    assert uneven_threads([record(threads=4), record(threads=4, method="b")]) == []


def test_a_column_has_one_dataset() -> None:
    assert uneven_threads([record(), record(threads=4, dataset="fashion")]) == []


def test_a_table_marks_a_method_that_ran_on_other_threads() -> None:
    records = [record(method="a"), record(method="c"), record(method="b", threads=4)]
    table = Results(records).table().to_text()
    assert "b¤" in table and "a¤" not in table
    assert "¤ b on wiki, 16 bits, seed 0: ran on 4 threads, most of the column on 1" in " ".join(
        table.split()
    )
