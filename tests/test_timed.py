"""Streams by real time: time columns of datasets, the order of their values, and the rounds cut by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.checks.trial import items
from bench.cli import main
from bench.contract.times import order, time_column
from bench.data import bundle
from bench.datasets.files import Files
from bench.errors import DataError, ParameterError
from bench.protocol import stream
from bench.protocol.stream import Plan
from bench.records import RunRecord, RunSpec, Schedule
from bench.running.hosts import Isolation
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

YEARS = np.repeat([2012.0, 2010.0, 2011.0, np.nan], [30, 10, 15, 5])


def spec(schedule: str, **changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule.parse(schedule), **changes)


def cut(schedule: str, **changes: Any) -> Plan:
    season = np.tile(["Winter", "Spring", "autumn"], 20)
    return stream.of(spec(schedule, **changes), items(60), {"year": YEARS, "season": season})


def saved(tmp_path: Path, **changes: Any) -> Path:
    """A bundle of 72 pairs with a year each, and a table beside it with a season each."""
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.uint8)[rng.integers(3, size=72)]
    arrays: dict[str, Any] = {name: rng.standard_normal((72, d)) for name, d in (("image", 10), ("text", 7))}
    arrays |= {"labels": labels, "year": np.repeat([2011, 2010], [40, 32]), **changes}
    np.savez(tmp_path / "mine.npz", **arrays)
    seasons = "\n".join(f'"a, b",{("Fall", "Spring", "NA")[i % 3]}' for i in range(72))
    (tmp_path / "table.csv").write_text(f"title,season\n{seasons}\n", encoding="utf-8")
    return tmp_path / "mine.npz"


def run(tmp_path: Path, **options: Any) -> RunRecord:
    path = saved(tmp_path)
    dataset = f"files[path={path},queries=12,times=year;table.csv:season]"
    default = {"methods": "ridge_code", "datasets": dataset, "bits": 8, "seeds": 1, "train": "all"}
    how: Any = {"results": str(tmp_path / "runs"), "isolation": Isolation(in_process=True)}
    (record,) = bench.run(**{**default, **options}, contract=False, **how).records
    return record


def test_a_round_has_one_value_from_the_earliest() -> None:
    rounds = cut("timed:year").rounds
    assert [set(YEARS[rows]) for rows in rounds] == [{2010.0}, {2011.0}, {2012.0}]
    assert [len(rows) for rows in rounds] == [10, 15, 30]


def test_the_name_of_a_column_may_have_a_comma() -> None:
    made = Study.make(None, schedule="timed:when, roughly:20,drift:9").schedule
    assert [Schedule.parse(text).by for text in made] == ["when, roughly", ""]


def test_with_a_size_values_join_until_a_round_has_it() -> None:
    assert [len(rows) for rows in cut("timed:year:12").rounds] == [25, 30]


def test_the_last_values_join_the_round_before_where_they_are_too_few() -> None:
    assert [len(rows) for rows in cut("timed:year:25").rounds] == [25, 30]
    assert [len(rows) for rows in cut("timed:year:40").rounds] == [55]


def test_last_short_keeps_too_few_as_a_round() -> None:
    plan = stream.plan(
        55,
        None,
        schedule=Schedule("timed", 20, "short", "year"),
        seed=0,
        pool="none",
        val=0,
        times={"year": np.repeat([1.0, 2.0], [40, 15])},
    )
    assert [len(rows) for rows in plan.rounds] == [40, 15]


def test_two_columns_order_by_the_first_and_within_it_by_the_second() -> None:
    rounds = cut("timed:year+season").rounds
    assert len(rounds) == 9
    season = np.tile(["Winter", "Spring", "autumn"], 20)
    assert [set(season[rows]) for rows in rounds] == [{"Spring"}, {"autumn"}, {"Winter"}] * 3


def test_items_without_a_time_are_left_out_and_counted() -> None:
    plan = cut("timed:year")
    assert not np.isnan(YEARS[np.concatenate(plan.rounds)]).any()
    assert plan.notes == (
        "rounds by year: 2010, 2011, 2012",
        "5 training items whose year is unknown are left out of the stream",
    )


def test_the_seed_decides_the_order_of_equal_times_alone() -> None:
    one, other = cut("timed:year", seed=1).rounds, cut("timed:year", seed=2).rounds
    assert [sorted(rows) for rows in one] == [sorted(rows) for rows in other]
    assert not np.array_equal(one[2], other[2])


def test_equal_seeds_give_equal_streams() -> None:
    for one, other in zip(cut("timed:year").rounds, cut("timed:year").rounds, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pool", ["first_chunk", "separate:10", "full"])
def test_validation_queries_and_pools_combine_with_time(pool: str) -> None:
    plan = cut("timed:year", val=6, train="0.5", pool=pool)
    assert plan.pool is not None and len(plan.pool)
    assert not set(plan.val) & set(np.concatenate(plan.rounds))


def test_a_column_that_the_dataset_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(ParameterError, match=r"timed:month: .*time columns year, season, not month"):
        cut("timed:month")
    with pytest.raises(ParameterError, match=r"has no time columns, not year.*bench info DATASET"):
        stream.of(spec("timed:year"), items(60))


def test_a_column_without_a_known_time_is_refused() -> None:
    with pytest.raises(ParameterError, match="day is unknown for every training item"):
        stream.of(spec("timed:day"), items(60), {"day": np.full(60, "")})


def test_too_many_values_are_refused_with_a_size_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.protocol.timed.MOST_ROUNDS", 2)
    with pytest.raises(ParameterError, match=r"has 3 rounds; expected at most 2\. Write timed:year:2000"):
        cut("timed:year")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["10", "9", "NA"], ["9", "10"]),
        (["2011-05-31", "2010-12-01", ""], ["2010-12-01", "2011-05-31"]),
        (["2011-Q2", "2011-Q1"], ["2011-Q1", "2011-Q2"]),
        (["Winter", "summer", "Autumn"], ["summer", "Autumn", "Winter"]),
        (["March", "february"], ["february", "March"]),
        (np.array(["2011-05-31", "2010-01-01", "NaT"], "datetime64[D]"), ["2010-01-01", "2011-05-31"]),
        ([3, 1, 2], ["1", "2", "3"]),
        ([np.inf, 1.5, np.nan], ["1.5"]),
    ],
)
def test_values_are_in_the_order_of_time(values: Any, names: list[str]) -> None:
    assert order(time_column("x", values))[1] == names


@pytest.mark.parametrize("values", [["31/05/2011"], ["Fall", "2011"], ["early", "late"]])
def test_text_whose_order_in_time_is_unclear_is_refused(values: list[str]) -> None:
    with pytest.raises(DataError, match=r"mine, year: has .*place in time is unclear.*Convert it"):
        time_column("mine, year", values)


def test_files_read_times_from_a_variable_and_from_a_table(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = Files(path=str(path), queries=12, times="year;table.csv:season").load(tmp_path)
    assert list(data.times) == ["year", "season"]
    np.testing.assert_array_equal(data.times["year"], np.repeat([2011, 2010], [40, 32])[data.train.ids])
    assert data.times["season"][:3].tolist() == [("Fall", "Spring", "")[i % 3] for i in data.train.ids[:3]]


@pytest.mark.parametrize(
    ("times", "changes", "message"),
    [
        ("month", {}, r"times=month: no such variable"),
        ("other.csv:season", {}, r"times=other\.csv:season: no file .*other\.csv"),
        ("table.csv:month", {}, r"table\.csv: has no column 'month'.*found title, season"),
        ("year", {"year": np.arange(71)}, r"mine\.npz, year: has 71 values; expected 72"),
    ],
)
def test_times_that_are_not_there_are_refused(
    tmp_path: Path, times: str, changes: dict[str, Any], message: str
) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        Files(path=str(path), queries=12, times=times).load(tmp_path)


def test_a_run_streams_by_time_and_names_its_rounds(tmp_path: Path) -> None:
    record = run(tmp_path, schedule="timed:year", evaluate="all")
    assert record.status == "ok", record.reason
    assert "rounds by year: 2010, 2011" in record.notes
    assert record.rounds[-1].items == 60


def test_times_come_back_from_the_cache(tmp_path: Path) -> None:
    first = run(tmp_path, schedule="timed:year+season")
    again = run(tmp_path, schedule="timed:year+season", seeds=[1])
    assert first.data == again.data and again.notes == first.notes


@pytest.mark.parametrize("kind", ["npz", "mat", "h5"])
def test_an_exported_dataset_keeps_its_times_and_the_parents_of_its_classes(
    tmp_path: Path, kind: str
) -> None:
    path = str(saved(tmp_path, parents=np.array(["clothes", "", "shoes"])))
    data = Files(path=path, queries=12, times="year;table.csv:season").load(tmp_path)
    bundle.write(data, tmp_path / f"out.{kind}", kind)
    again = Files(path=str(tmp_path / f"out.{kind}"), times="year;season").load(tmp_path)
    assert again.parents == ("clothes", "", "shoes")
    for name in ("year", "season"):
        np.testing.assert_array_equal(again.times[name], data.times[name])


def test_info_shows_time_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", f"files[path={saved(tmp_path)},queries=12,times=year]"]) == 0
    assert "year: 2 values, 2010 to 2011 (--schedule timed:year)" in capsys.readouterr().out


def test_other_schedules_keep_their_keys() -> None:
    assert spec("shuffled:20").key == "f865f34527ce0e9f"


def test_a_list_of_schedules_is_cut_at_commas() -> None:
    study = Study.make(schedule="shuffled:20,timed:year:5, modal:image,text:10,modal:text,image")
    assert study.schedule == ("shuffled:20", "timed:year:5", "modal:image,text:10", "modal:text,image")


@pytest.mark.parametrize(
    "text", ["timed", "timed:", "timed:year:0", "timed:a:b:2", "modal:image", "modal:20"]
)
def test_a_schedule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="is not one of shuffled:SIZE"):
        Schedule.parse(text)
