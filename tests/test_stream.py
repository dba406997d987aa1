"""bench.protocol.stream: who arrives when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DataError, ParameterError
from bench.protocol.stream import Plan, introduced, parse_evaluate, plan, withhold
from bench.records import RunSpec, Schedule


def labels(n: int = 60, classes: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = (rng.random((n, classes)) < 0.25).astype(np.uint8)
    found[np.arange(n), rng.integers(classes, size=n)] = 1
    return found


def make(
    text: str, *, n: int = 60, seed: int = 0, pool: str = "none", val: int = 0, last: str = "merge"
) -> Plan:
    return plan(n, labels(n), schedule=Schedule.parse(text, last), seed=seed, pool=pool, val=val)


@pytest.mark.parametrize("text", ["shuffled:25", "drift:25", "class_incremental:3"])
def test_every_item_arrives_once(text: str) -> None:
    rows = np.concatenate(make(text).rounds)
    np.testing.assert_array_equal(np.sort(rows), np.arange(60))


@pytest.mark.parametrize("text", ["shuffled:25", "drift:25", "class_incremental:3"])
def test_a_seed_gives_one_order_and_another_seed_another(text: str) -> None:
    a, b, c = (np.concatenate(make(text, seed=s).rounds) for s in (3, 3, 4))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_a_remainder_joins_the_last_chunk_or_stands_alone() -> None:
    assert [len(r) for r in make("shuffled:25").rounds] == [25, 35]
    assert [len(r) for r in make("shuffled:25", last="short").rounds] == [25, 25, 10]
    assert [len(r) for r in make("shuffled:20", last="short").rounds] == [20, 20, 20]
    assert [len(r) for r in make("shuffled:100").rounds] == [60]


def test_no_class_shows_itself_before_its_group_is_introduced() -> None:
    found = labels()
    first_seen = [set(np.flatnonzero(found[rows].any(axis=0))) for rows in make("class_incremental:3").rounds]
    introduced = [len(set.union(*first_seen[: t + 1])) for t in range(3)]
    assert introduced == [2, 4, 6]


def spec(schedule: str) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule.parse(schedule))


def test_a_query_is_introduced_in_the_round_in_which_an_item_with_its_labels_arrives() -> None:
    found, stream = labels(), make("class_incremental:3")
    rounds = introduced(spec("class_incremental:3"), stream, found, found)
    assert rounds is not None
    for number, rows in enumerate(stream.rounds):
        assert (rounds[rows] == number).all()


def test_a_query_of_a_group_that_brings_no_item_comes_with_the_next_that_does() -> None:
    found = np.eye(4, dtype=np.uint8)
    for missing in range(4):
        kept = np.delete(found, missing, axis=0)
        stream = plan(3, kept, schedule=Schedule("class_incremental", 4), seed=0, pool="none", val=0)
        rounds = introduced(spec("class_incremental:4"), stream, kept, found)
        assert rounds is not None and len(stream.rounds) == 3
        assert sorted(np.delete(rounds, missing)) == [0, 1, 2]
        assert 0 <= rounds[missing] <= 2


def test_only_a_schedule_by_class_introduces_queries() -> None:
    assert introduced(spec("shuffled:20"), make("shuffled:20"), labels(), labels()) is None


def test_drift_sorts_by_a_projection_of_the_labels() -> None:
    """Equal label sets stand together, so neighbours in the stream share more labels than strangers."""
    found = labels(600).astype(float)
    rows = np.concatenate(
        plan(600, labels(600), schedule=Schedule("drift", 50), seed=0, pool="none", val=0).rounds
    )
    near = (found[rows[:-1]] * found[rows[1:]]).sum(axis=1).mean()
    far = (found[rows[:300]] * found[rows[300:]]).sum(axis=1).mean()
    assert near > far + 0.2


def test_stored_order_is_the_order_of_the_dataset() -> None:
    np.testing.assert_array_equal(np.concatenate(make("stored:25").rounds), np.arange(60))


def test_pool_and_validation_items_are_taken_out_of_the_stream() -> None:
    made = make("shuffled:10", pool="separate:15", val=5)
    assert made.pool is not None
    parts = [set(np.concatenate(made.rounds)), set(made.pool), set(made.val)]
    assert [len(p) for p in parts] == [40, 15, 5]
    assert len(set.union(*parts)) == 60


def test_first_chunk_and_full_pools_stay_in_the_stream() -> None:
    first, full = make("shuffled:10", pool="first_chunk"), make("shuffled:10", pool="full")
    np.testing.assert_array_equal(first.pool, first.rounds[0])
    assert full.pool is not None and set(full.pool) == set(range(60))
    assert make("shuffled:10").pool is None


@given(n=st.integers(2, 80), size=st.integers(1, 90), short=st.booleans(), seed=st.integers(0, 5))
def test_rounds_partition_any_number_of_items(n: int, size: int, short: bool, seed: int) -> None:
    schedule = Schedule("shuffled", size, "short" if short else "merge")
    made = plan(n, None, schedule=schedule, seed=seed, pool="none", val=0)
    assert sorted(np.concatenate(made.rounds)) == list(range(n))
    assert all(len(r) >= min(size, n) for r in made.rounds[:-1])


def test_evaluated_rounds() -> None:
    assert parse_evaluate("last", 5) == [4]
    assert parse_evaluate("all", 3) == [0, 1, 2]
    assert parse_evaluate("every:2", 5) == [1, 3, 4]


@pytest.mark.parametrize("bad", ["shuffled", "shuffled:0", "sorted:5", "shuffled:-3", "shuffled:1.5", ""])
def test_a_bad_schedule_is_refused_with_the_form_expected(bad: str) -> None:
    with pytest.raises(ParameterError, match="is not one of shuffled:SIZE"):
        Schedule.parse(bad)


def test_too_much_taken_out_of_the_stream_is_an_error() -> None:
    with pytest.raises(ParameterError, match="60 of 60"):
        make("shuffled:10", pool="separate:40", val=20)


def test_more_groups_than_classes_is_an_error() -> None:
    with pytest.raises(ParameterError, match=r"more groups than the dataset has classes \(6\)"):
        make("class_incremental:7")


def test_an_order_by_label_needs_labels() -> None:
    with pytest.raises(DataError, match="has none"):
        plan(9, None, schedule=Schedule("drift", 3), seed=0, pool="none", val=0)


def test_the_share_asked_for_keeps_its_labels() -> None:
    hidden = withhold(200, seed=0, labelled=0.1).labels
    assert hidden is not None and (~hidden).sum() == 20


def test_what_is_labelled_at_a_smaller_share_is_labelled_at_a_larger_one() -> None:
    few, many = (withhold(200, seed=3, labelled=share).labels for share in (0.1, 0.4))
    assert few is not None and many is not None and not (many & ~few).any()


def test_an_item_that_is_not_paired_lacks_one_modality_and_the_same_at_every_share() -> None:
    few, many = (withhold(200, seed=3, paired=share).absent for share in (0.0, 0.5))
    assert few is not None and many is not None
    assert (few["image"] ^ few["text"]).all()
    assert (many["image"] ^ many["text"]).sum() == 100
    assert not any((many[m] & ~few[m]).any() for m in few)


def test_nothing_is_withheld_by_default() -> None:
    assert withhold(10, seed=0).labels is None and withhold(10, seed=0).absent is None


def test_other_seeds_withhold_other_labels() -> None:
    one, two = (withhold(200, seed=seed, labelled=0.5).labels for seed in (0, 1))
    assert one is not None and (one != two).any()
