"""Recovery after a shift: where the shift is, how many rounds the way back takes, and what has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import ParameterError
from bench.records import RunRecord, Schedule
from bench.reports._recovery import Way, largest_fall, way
from bench.results import Results

Make = Callable[..., Any]
CHANCE = 0.1


def along(scores: Sequence[float]) -> dict[int, tuple[float, float]]:
    return {number: (score, score - CHANCE) for number, score in enumerate(scores)}


def test_the_way_back_is_counted_from_the_shift() -> None:
    assert way(along([0.5, 0.6, 0.2, 0.4, 0.6, 0.1]), 2, 0.95) == Way(2, 0.6, 0.2, 2, 3)


def test_a_score_that_never_was_below_the_share_needs_no_round() -> None:
    assert way(along([0.6, 0.59, 0.3]), 1, 0.95) == Way(1, 0.6, 0.59, 0, 1)


def test_the_share_is_of_the_score_above_chance() -> None:
    assert way(along([0.6, 0.57, 0.6]), 1, 0.95) == Way(1, 0.6, 0.57, 1, 1)  # 0.47 is 94 % of 0.5


def test_a_score_that_is_not_back_by_the_end_has_no_number() -> None:
    assert way(along([0.6, 0.2, 0.3]), 1, 0.95) == Way(1, 0.6, 0.2, None, 1)


@pytest.mark.parametrize("shift", [0, 9])
def test_a_shift_that_the_stream_lacks_has_no_way_back(shift: int) -> None:
    assert way(along([0.6, 0.2, 0.3]), shift, 0.95) is None


def test_the_shift_is_the_largest_fall_of_the_mean_over_methods() -> None:
    one, other = along([0.5, 0.3, 0.5, 0.4]), along([0.5, 0.5, 0.5, 0.2])
    assert largest_fall([one]) == 1
    assert largest_fall([one, other]) == 3


def test_a_stream_in_which_nothing_falls_has_no_shift() -> None:
    assert largest_fall([along([0.1, 0.2, 0.2])]) is None
    assert largest_fall([]) is None


def scored(record: RunRecord, scores: Sequence[float], empty: int = 0) -> RunRecord:
    """The record with these scores in every direction; ``empty`` queries have no relevant item in round 0."""
    rounds = [
        replace(
            r,
            metrics={**r.metrics, **{f"map/{d}": score for d in record.spec.directions}}
            | {f"chance/{d}": CHANCE for d in record.spec.directions},
            empty_queries=dict.fromkeys(record.spec.directions, 0 if r.round else empty),
        )
        for r, score in zip(record.rounds, scores, strict=True)
    ]
    return replace(record, rounds=tuple(rounds))


def results(make: Make, scores: Mapping[tuple[str, int], Sequence[float]], **more: Any) -> Results:
    made = make({name: 1.0 for name, _ in scores}, rounds=5, seeds=1 + max(seed for _, seed in scores))
    made.records = [
        scored(r, scores[r.spec.method, r.spec.seed], **more)
        for r in made.records
        if (r.spec.method, r.spec.seed) in scores
    ]
    shown: Results = made.results()
    return shown


def rows(found: Results, **options: Any) -> dict[str, Mapping[str, Any]]:
    data = found.table(report="rounds", recovery=0.95, **options).data
    return {row["method"]: row for row in data if row["direction"] == "i2t"}


def test_all_methods_are_measured_at_the_same_shift(make: Make) -> None:
    found = rows(results(make, {("a", 0): [0.5, 0.6, 0.2, 0.6, 0.6], ("b", 0): [0.5, 0.5, 0.4, 0.3, 0.5]}))
    assert (found["a"]["shift"], found["b"]["shift"]) == ("2", "2")
    assert (found["a"]["recovery"], found["b"]["recovery"]) == (1.0, 2.0)


def test_a_shift_can_be_named(make: Make) -> None:
    found = rows(results(make, {("a", 0): [0.5, 0.6, 0.2, 0.6, 0.5]}), shift=4)
    assert (found["a"]["shift"], found["a"]["recovery"]) == ("4", None)


def test_the_median_over_seeds_counts_those_that_are_not_back(make: Make) -> None:
    low, back = [0.5, 0.6, 0.2, 0.3, 0.3], [0.5, 0.6, 0.2, 0.6, 0.6]
    two_of_three = rows(results(make, {("a", 0): back, ("a", 1): low, ("a", 2): back}))["a"]
    assert (two_of_three["recovery"], two_of_three["recovered"]) == (1.0, 2)
    one_of_three = rows(results(make, {("a", 0): back, ("a", 1): low, ("a", 2): low}))["a"]
    assert (one_of_three["recovery"], one_of_three["left"]) == (None, 2)


def test_each_protocol_has_a_name_for_its_file(make: Make) -> None:
    one = results(make, {("a", 0): [0.5, 0.6, 0.2, 0.6, 0.6]}).records
    other = [replace(r, spec=replace(r.spec, schedule=Schedule("drift", 7))) for r in one]
    table = Results([*one, *other]).table(report="rounds", recovery=0.95)
    assert all(block.protocol for block in table.blocks)
    assert len({block.protocol for block in table.blocks}) == 2


def test_the_table_shows_rounds_and_what_was_lost(make: Make) -> None:
    text = str(results(make, {("a", 0): [0.5, 0.6, 0.2, 0.6, 0.6]}).table(report="rounds", recovery=0.95))
    assert ".600 → .200 at 2" in text and "back at 95% of that before" in text
    never = results(make, {("a", 0): [0.5, 0.6, 0.2, 0.3, 0.3]}).table(report="rounds", recovery=0.95)
    assert ">2" in str(never)


def test_a_stream_without_a_fall_says_so(make: Make) -> None:
    text = str(results(make, {("a", 0): [0.1, 0.2, 0.3, 0.4, 0.5]}).table(report="rounds", recovery=0.95))
    assert "no fall" in text


def test_rounds_in_which_most_queries_are_empty_are_left_out(make: Make) -> None:
    scores = {("a", 0): [0.9, 0.3, 0.5, 0.4, 0.5]}
    assert rows(results(make, scores))["a"]["shift"] == "1"
    assert rows(results(make, scores, empty=31))["a"]["shift"] == "3"


def test_rounds_before_a_tenth_of_the_items_are_left_out(make: Make) -> None:
    found = results(make, {("a", 0): [0.9, 0.3, 0.5, 0.4, 0.5]})
    small = [replace(r, rounds=(replace(r.rounds[0], items=49), *r.rounds[1:])) for r in found.records]
    assert rows(Results(small))["a"]["shift"] == "3"


def test_seeds_have_one_shift_where_they_do_not_decide_the_order(make: Make) -> None:
    scores = {("a", 0): [0.5, 0.6, 0.2, 0.6, 0.6], ("a", 1): [0.5, 0.6, 0.6, 0.5, 0.6]}
    drawn = results(make, scores)
    assert rows(drawn)["a"]["shift"] == "2 3"
    fixed = [
        replace(r, spec=replace(r.spec, schedule=Schedule("timed", 0, by="year"))) for r in drawn.records
    ]
    assert rows(Results(fixed))["a"]["shift"] == "2"


def test_too_few_rounds_are_refused(make: Make) -> None:
    made = make({"a": 1.0}, rounds=2)
    with pytest.raises(ParameterError, match=r"none of 2 cells has three evaluated rounds"):
        made.results().table(report="rounds", recovery=0.95)


def test_a_share_above_one_is_refused(make: Make) -> None:
    with pytest.raises(ParameterError, match=r"recovery=95 is no share"):
        make({"a": 1.0}, rounds=3).results().table(report="rounds", recovery=95)


def test_without_the_option_the_table_has_every_round(make: Make) -> None:
    data = make({"a": 1.0}, rounds=3).results().table(report="rounds").data
    assert {row["round"] for row in data} == {0, 1, 2}
