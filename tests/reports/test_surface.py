"""The surface and the sensitivity table, from records typed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import ParameterError
from bench.plugins import registry
from bench.records import Direction, RoundRecord, RunRecord, RunSpec, Schedule
from bench.results import Results

PLUGIN = Path(__file__).parents[1] / "plugins" / "shares.py"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of a parameter is the method's: weight=1.0, power=1.0."""
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(PLUGIN)


def record(score: float, *, seed: int = 0, ran: bool = True, **changes: Any) -> RunRecord:
    both: tuple[Direction, Direction] = ("i2t", "t2i")
    given = {"schedule": Schedule("shuffled", 5), **changes}
    spec = RunSpec(
        **{"method": "shares", "dataset": "d", "bits": 8, "seed": seed, "directions": both, **given}
    )
    found = RoundRecord(
        round=0, items=10, queries=4, empty_queries=dict.fromkeys(both, 0),
        metrics={"map/i2t": score, "map/t2i": 1 - score}, seconds={}, bits_rewritten=None, state_bytes=0,
    )  # fmt: skip
    if not ran:
        return RunRecord(spec=spec, status="failed", reason="no room", data="f" * 8)
    return RunRecord(spec=spec, status="ok", rounds=(found,), data="f" * 8, fidelity="textbook")


POOLED = [(w, p) for w in (0.0, 2.0) for p in ("first_chunk", "full")]


def surface() -> list[RunRecord]:
    """weight 0, 1, 10 and power 1, 2; values that are defaults are not in params."""
    made = []
    for i, weight in enumerate((10.0, 0.0, 1.0)):
        for j, power in enumerate((1.0, 2.0)):
            own = {"weight": weight, "power": power}
            params = {k: v for k, v in own.items() if v != 1.0}
            made.append(record(0.1 * (3 * j + i + 1), params=params))
    return made


def lines(table: Any) -> list[str]:
    return [line.rstrip() for line in str(table).splitlines()]


def test_rows_and_columns_are_the_values_in_order_with_the_default_in_its_place() -> None:
    table = Results(surface()).table(report="surface", axes=["weight", "power"])
    [block] = table.blocks
    assert [row[0].text for row in block.rows] == ["0", "1", "10"]
    assert [c.name for c in block.columns] == ["weight", "1", "2", "1", "2"]
    assert [row[1].text for row in block.rows] == [".200", ".300", ".100"]
    assert [row[4].text for row in block.rows] == [".500", ".400", ".600"]


def test_it_says_where_each_direction_is_highest_and_that_this_picks_on_the_test_queries() -> None:
    table = Results(surface()).table(report="surface", axes=["weight", "power"])
    assert "I→T is highest, .600, at weight=1, power=2" in lines(table)
    assert "T→I is highest, .900, at weight=10, power=1" in lines(table)
    assert "bench tune" in str(table)


def test_without_axes_they_are_what_the_cells_differ_in() -> None:
    assert Results(surface()).table(report="surface").title == "mAP over weight × power"


def test_cells_that_differ_in_something_else_are_apart() -> None:
    frozen = [record(0.5, params={"weight": w}, database="frozen") for w in (0.0, 2.0)]
    plain = [record(0.5, params={"weight": w}) for w in (0.0, 2.0)]
    assert len(Results([*plain, *frozen]).table(report="sensitivity", axes=["weight"]).blocks) == 2


def test_an_axis_of_the_study_is_left_out_of_the_caption() -> None:
    made = [record(0.2 * i, schedule=Schedule("shuffled", i)) for i in (1, 2, 3)]
    table = Results(made).table(report="sensitivity", axes=["schedule"])
    assert [row[0].text for row in table.blocks[0].rows] == ["shuffled:1", "shuffled:2", "shuffled:3"]
    assert not any("schedule shuffled" in line for line in lines(table))


def test_means_are_over_seeds_and_a_failed_cell_is_told() -> None:
    made = [record(0.2, params={"weight": 0.0}), record(0.4, seed=1, params={"weight": 0.0})]
    made += [record(0.3), record(0.3, seed=1, ran=False)]
    table = Results(made).table(report="sensitivity", axes=["weight"])
    first, second = table.blocks[0].rows
    assert first[1].text == ".300" and "±.141" in first[1].extra
    assert "(n=1)" in second[1].extra
    assert any("failed: shares on d, 8 bits, seed 1: no room" in line for line in lines(table))


def test_names_are_not_listed_for_every_point() -> None:
    text = str(Results(surface()).table(report="surface", axes=["weight", "power"]))
    assert "textbook method: shares\n" in text


def test_the_numbers_have_the_axes_as_columns() -> None:
    rows = Results(surface()).table(report="surface", axes=["weight", "power"]).data
    assert len(rows) == 12
    assert {(row["weight"], row["power"]) for row in rows} == {(w, p) for w in (0, 1, 10) for p in (1, 2)}


def test_the_numbers_of_the_drawn_surface_are_those_of_the_table() -> None:
    made = [record(0.1 * i, params={"weight": w}, pool=p) for i, (w, p) in enumerate(POOLED)]
    results = Results(made)
    drawn = results.figure("surface_plot", axes=["weight", "pool"]).data
    assert list(drawn) == list(results.table(report="surface", axes=["weight", "pool"]).data)
    assert {(row["pool"], row["saw_future"]) for row in drawn} == {("first_chunk", False), ("full", True)}


def test_another_number_of_axes_is_an_error_that_names_them() -> None:
    with pytest.raises(ParameterError, match="shows two axes, and these cells differ in none"):
        Results([record(0.5)]).table(report="surface")


def test_a_metric_that_is_not_stored_is_an_error_with_the_remedy() -> None:
    with pytest.raises(ParameterError, match="bench rescore --metric ndcg@5"):
        Results(surface()).table("ndcg@5", report="surface", axes=["weight", "power"])
