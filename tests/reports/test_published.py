"""Published numbers and ours: what may stand beside what, and which differences are told."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from bench.cli import main
from bench.errors import ParameterError
from bench.plugins import registry
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.reports import published as report
from bench.reports._published import Published, load
from bench.results import Results

THEIRS = Published(
    value=0.7123,
    method="lemon",
    dataset="mirflickr25k",
    direction="i2t",
    bits=16,
    metric="map:lemon",
    ties="stored order",
    database="learned",
    rounds="last",
    schedule="shuffled:2000",
    features="GIST and tags",
    paper="A, B: C, 2020",
    table="Table 1",
    read="the text",
    where="here",
    queries=2000,
    items=18015,
    file="c.toml",
)
BOTH: Mapping[str, float] = MappingProxyType({"map": 0.60, "map:lemon": 0.59})


def record(
    metrics: Mapping[str, float] = BOTH,
    *,
    method: str = "lemon",
    dataset: str = "mirflickr25k",
    status: Any = "ok",
    fidelity: str = "authors' algorithm",
    queries: int = 2000,
    **spec: Any,
) -> RunRecord:
    schedule = Schedule.parse(spec.pop("schedule", "shuffled:2000"))
    given = {"bits": 16, "pool": "none", "database": "learned", **spec}
    entry = RoundRecord(
        round=8,
        items=18015,
        queries=queries,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics={f"{name}/{d}": value for name, value in metrics.items() for d in ("i2t", "t2i")},
        seconds={"fit": 1.0},
        bits_rewritten=None,
        state_bytes=10,
    )
    return RunRecord(
        spec=RunSpec(method=method, dataset=dataset, schedule=schedule, **given),
        status=status,
        reason="" if status == "ok" else "boom",
        rounds=(entry,) if status == "ok" else (),
        fidelity=fidelity,
        data="d1",
    )


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> list[Published]:
    """The published numbers that the report finds; a test may change the list."""
    numbers = [THEIRS]
    monkeypatch.setattr(report, "load", lambda: tuple(numbers))
    return numbers


def render(records: Sequence[RunRecord], stale: Mapping[str, str] | None = None, **options: Any) -> Table:
    return Results(records, stale=stale).table(report="published", **options)


def cells(table: Table, block: int = 0) -> list[list[str]]:
    return [[f"{c.text} {c.below}".strip() for c in row] for row in table.blocks[block].rows]


def notes(table: Table, block: int = 0) -> str:
    return "\n".join(table.blocks[block].notes)


def differences(records: Sequence[RunRecord]) -> list[str]:
    text = render(records).data[0]["ours_differs"]
    return [part.partition(" ")[0] for part in text.split("; ") if not part.startswith("ours ")]


@pytest.mark.usefixtures("theirs")
def test_ours_stands_below_the_published_value_with_its_decimals() -> None:
    assert cells(render([record()])) == [["mirflickr25k", "lemon", ".7123 .5900*"]]


@pytest.mark.usefixtures("theirs")
def test_the_chance_level_of_ours_is_told_and_that_of_theirs_is_not_known() -> None:
    table = render([record({"map": 0.5, "chance": 0.25})])
    assert "chance level not recorded" in "\n".join(table.blocks[0].caption)
    assert "ours on mirflickr25k, map: chance level .250" in notes(table)


@pytest.mark.usefixtures("theirs")
def test_ours_is_the_mean_over_seeds() -> None:
    records = [record({"map:lemon": v}, seed=seed) for seed, v in enumerate((0.5, 0.6))]
    row = render(records).data[0]
    assert row["ours_value"] == pytest.approx(0.55)
    assert row["ours_n"] == 2


@pytest.mark.usefixtures("theirs")
def test_their_metric_is_taken_where_it_is_stored() -> None:
    row = render([record()]).data[0]
    assert (row["ours_metric"], row["ours_value"]) == ("map:lemon", 0.59)
    assert "metric" not in differences([record()])


@pytest.mark.usefixtures("theirs")
def test_the_tie_aware_metric_stands_in_and_is_told() -> None:
    table = render([record({"map": 0.6})])
    assert table.data[0]["ours_metric"] == "map"
    assert "metric map:lemon, ties stored order; ours map, ties expected over their orders" in notes(table)


@pytest.mark.parametrize("ties", ["unstable sort", "not stated"])
def test_the_same_code_with_an_unknown_order_of_ties_is_a_difference(
    theirs: list[Published], ties: str
) -> None:
    theirs[:] = [replace(THEIRS, ties=ties)]
    assert "metric" in differences([record()])


def test_map_at_50_is_never_set_beside_map_over_all_items(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, metric="map@50:lemon")]
    table = render([record()])
    assert cells(table) == [["mirflickr25k", "lemon", ".7123"]]
    assert "ours not stored: map@50:hits; `bench rescore --metric …` adds it" in notes(table)


def test_map_at_50_by_hits_stands_beside_its_tie_aware_twin(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, metric="map@50:lemon")]
    assert render([record({"map@50:hits": 0.8})]).data[0]["ours_value"] == 0.8


@pytest.mark.usefixtures("theirs")
def test_only_the_features_of_an_equal_protocol_cannot_be_compared() -> None:
    assert differences([record()]) == ["features"]


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        (record(database="reindexed"), "database learned; ours reindexed"),
        (record(schedule="drift:500"), "schedule shuffled:2000; ours drift:500"),
        (record(noise="sym:0.4"), "noise none; ours sym:0.4"),
        (record(queries=500), "queries 2000; ours 500"),
        (record(pool="full"), "ours saw the future (pool full)"),
        (record(fidelity="reconstruction"), "ours: reconstruction"),
        (record(fidelity="adaptation"), "ours: adaptation"),
        (record(fidelity="modified (anchors=300)"), "ours: modified (anchors=300)"),
        (record(params={"alpha": 2.0}), "ours with parameters: lemon[alpha=2.0]"),
        (record(dataset_params={"clip": True}), "ours not in a record of mirflickr25k[clip=True]"),
    ],
)
@pytest.mark.usefixtures("theirs")
def test_every_difference_is_told_below_the_table(ours: RunRecord, says: str) -> None:
    table = render([ours])
    assert says in notes(table)
    assert f"* lemon on mirflickr25k: {table.data[0]['ours_differs']}" in notes(table)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rounds": "average"}, "rounds average; ours last"),
        ({"database": "not stated"}, "database not stated; ours learned"),
        ({"items": None}, "items not stated; ours 18015"),
        ({"schedule": "offline"}, "schedule offline; ours shuffled:2000"),
        ({"noise": "0.5 of the labels"}, "noise 0.5 of the labels; ours none"),
    ],
)
def test_what_the_source_does_otherwise_or_does_not_say_is_told(
    theirs: list[Published], change: dict[str, Any], says: str
) -> None:
    theirs[:] = [replace(THEIRS, **change)]
    assert says in notes(render([record()]))


@pytest.mark.usefixtures("theirs")
def test_of_several_runs_the_one_with_the_nearest_protocol_stands_there() -> None:
    far = record({"map:lemon": 0.1}, database="reindexed", schedule="drift:500")
    tuned = record({"map:lemon": 0.3}, params={"alpha": 2.0})
    assert render([far, tuned, record()]).data[0]["ours_value"] == 0.59


@pytest.mark.parametrize(
    "other",
    [
        record(method="doch"),
        record(bits=32),
        record(val=100),
        record(status="failed"),
        record({"precision@100": 0.9}),
    ],
)
@pytest.mark.usefixtures("theirs")
def test_other_methods_data_and_code_lengths_are_not_set_beside_it(other: RunRecord) -> None:
    table = render([other])
    assert cells(table) == [["mirflickr25k", "lemon", ".7123"]]
    assert "no results of ours to compare" in notes(table)
    assert table.data[0]["ours_value"] is None


@pytest.mark.usefixtures("theirs")
def test_numbers_on_datasets_that_the_study_lacks_are_left_out() -> None:
    with pytest.raises(ParameterError, match="no published number"):
        render([record(dataset="wiki")])


def test_numbers_on_a_version_of_the_dataset_are_kept(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, dataset="nuswide10")]
    assert cells(render([record(dataset="nuswide")])) == [["nuswide10", "lemon", ".7123"]]


def test_a_method_that_we_do_not_have_is_shown_with_a_dash(theirs: list[Published]) -> None:
    theirs.append(replace(THEIRS, method="roh", value=0.6))
    assert cells(render([record()]))[1] == ["mirflickr25k", "roh", ".6000 –"]


def test_fused_queries_have_nothing_of_ours_beside_them(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, direction="fused")]
    table = render([record()])
    assert table.blocks[0].columns[-1].group == "image and text"
    assert "no results of ours" in notes(table)


def test_beside_a_mean_of_both_directions_stands_the_mean_of_ours(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, direction="mean")]
    one = record()
    scores = {"map:lemon/i2t": 0.5, "map:lemon/t2i": 0.7}
    ours = replace(one, rounds=(replace(one.rounds[0], metrics=scores),))
    assert cells(render([ours])) == [["mirflickr25k", "lemon", ".7123 .6000*"]]


def test_values_by_round_have_a_column_each(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, bits=0, rounds=f"round {i}") for i in (1, 2)]
    assert [c.name for c in render([]).blocks[0].columns[2:]] == ["round 1", "round 2"]


def test_two_tables_of_a_paper_are_two_blocks(theirs: list[Published]) -> None:
    theirs.append(replace(THEIRS, table="Table 2", rounds="average"))
    assert [len(block.rows) for block in render([]).blocks] == [1, 1]


def test_what_was_assumed_is_marked(theirs: list[Published]) -> None:
    theirs[:] = [replace(THEIRS, assumed=("database", "dataset"))]
    block = render([]).blocks[0]
    assert "database learned (assumed)" in "\n".join(block.caption)
    assert "mirflickr25k (assumed): " in "\n".join(block.caption)
    assert "(assumed): not in the source" in block.notes


def test_what_differs_between_datasets_is_told_by_dataset(theirs: list[Published]) -> None:
    theirs.append(replace(THEIRS, dataset="nuswide10", features="SIFT", queries=2100))
    caption = render([]).blocks[0].caption
    assert "mirflickr25k: features GIST and tags; 2000 queries" in caption
    assert "nuswide10: features SIFT; 2100 queries" in caption


@pytest.mark.usefixtures("theirs")
def test_a_stale_result_is_marked_with_its_reason() -> None:
    ours = record()
    table = render([ours], stale={ours.spec.key: "the code has changed"})
    assert cells(table)[0][-1] == ".7123 .5900*§"
    assert "§ stale: the code has changed" in notes(table)


@pytest.mark.usefixtures("theirs")
def test_a_result_of_a_method_that_fails_the_contract_is_marked() -> None:
    table = render([replace(record(), contract=("it_remembers_no_rows",))])
    assert cells(table)[0][-1] == ".7123 .5900*¶"
    assert "¶ fails checks of the contract (it remembers no rows): lemon" in notes(table)


@pytest.mark.usefixtures("theirs")
def test_every_rendering_has_both_numbers() -> None:
    table = render([record()])
    for text in (str(table), table.to_markdown(), table.to_latex()):
        assert ".7123" in text and ".5900" in text
    (row,) = csv.DictReader(io.StringIO(table.to_csv()))
    assert (row["value"], row["ours_value"], row["where"]) == ("0.7123", "0.59", "here")


def test_filters_choose_among_the_published_numbers() -> None:
    table = render([], methods=["lemon", "doch"], datasets=["mirflickr25k"], bits=["16"])
    assert {(r["method"], r["dataset"], r["bits"]) for r in table.data} == {
        ("lemon", "mirflickr25k", 16),
        ("doch", "mirflickr25k", 16),
    }


def test_without_a_filter_every_number_is_there() -> None:
    table = render([])
    assert len(table.data) == len(load())
    assert table.to_latex().count("\\label{tab:") == len(table.blocks)


def test_nothing_published_names_the_datasets_that_are() -> None:
    with pytest.raises(ParameterError, match="mirflickr25k"):
        render([], datasets=["synthetic"])


def test_results_make_the_table_by_the_name_of_the_report() -> None:
    table = Results([]).table(report="published", datasets=["mscoco"])
    assert {row["dataset"] for row in table.data} == {"mscoco"}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of a command that reads a folder with one stored cell."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    plugins = Path(__file__).parents[1] / "plugins"
    files = f"{plugins / 'halves.py'},{plugins / 'tiny.py'}"
    study = ["--plugin", files, "--methods", "halves", "--datasets", "tiny", "--bits", "8", "--seeds", "1"]
    assert main(["run", *study, "--results", str(tmp_path / "runs")]) == 0
    return ["--results", str(tmp_path / "runs")]


def test_the_command_adds_the_published_table_below(
    runs: list[str], theirs: list[Published], capsys: pytest.CaptureFixture[str]
) -> None:
    theirs[:] = [replace(THEIRS, dataset="tiny")]
    capsys.readouterr()
    assert main(["table", "--published", *runs]) == 0
    shown = capsys.readouterr().out
    assert 0 <= shown.index("halves") < shown.index("Published numbers")


def test_datasets_without_a_result_of_ours_show_what_is_published(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["table", "--published", "--datasets", "iaprtc12", "--format", "md", *runs]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("**Published numbers**")
    assert "mirflickr25k" not in shown


def test_asking_twice_shows_it_once(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for datasets in ("iaprtc12", "iaprtc12,tiny"):
        capsys.readouterr()
        assert main(["table", "--published", "--report", "published", "--datasets", datasets, *runs]) == 0
        assert capsys.readouterr().out.count("Published numbers") == 1


def test_csv_holds_one_table(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--published", "--format", "csv", *runs]) == 2
    assert "Use --report published" in capsys.readouterr().err
    wanted = ["--report", "published", "--datasets", "wiki"]
    assert main(["table", *wanted, "--format", "csv", *runs]) == 0
