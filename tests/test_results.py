"""Records as one tidy frame, and as whatever a report makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import Results
from bench.errors import ParameterError, UnknownNameError
from bench.plugins import registry
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule


def record(
    method: str = "lcdh", *, bits: int = 16, seed: int = 0, value: float = 0.7, **more: Any
) -> RunRecord:
    entry = RoundRecord(
        round=2,
        items=300,
        queries=40,
        empty_queries={"i2t": 1, "t2i": 0},
        metrics={"map/i2t": value, "map/t2i": value / 2, "chance/i2t": 0.1, "map@50:hits/i2t": 0.9},
        seconds={"fit": 1.5, "fit_cpu": 2.5},
        bits_rewritten=None,
        state_bytes=99,
    )
    spec = RunSpec(
        method=method,
        dataset="wiki",
        bits=bits,
        schedule=Schedule.parse("shuffled:100"),
        seed=seed,
        pool="none",
    )
    fields: dict[str, Any] = {
        "status": "ok",
        "rounds": (entry,),
        "fidelity": "textbook",
        "data": "d1",
        **more,
    }
    return RunRecord(spec=spec, **fields)


def failed(**more: Any) -> RunRecord:
    return record(status="failed", reason="boom", rounds=(), **more)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A report of somebody else's that takes nothing but records."""
    path = tmp_path / "how_many.py"
    path.write_text("def render(records, *, unit='records'):\n    return f'{len(records)} {unit}'\n")
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(path)
    yield "how_many"


def test_the_frame_has_one_row_per_metric_and_direction() -> None:
    frame = Results([record()]).frame()
    scores = frame[frame.metric.isin(["map", "map@50:hits"])]
    assert scores[["metric", "direction", "value"]].values.tolist() == [
        ["map", "i2t", 0.7],
        ["map", "t2i", 0.35],
        ["map@50:hits", "i2t", 0.9],
    ]


def test_the_frame_tells_cell_and_protocol_of_every_row() -> None:
    one = record()
    row = Results([one], stale={one.spec.key: "old"}).frame().iloc[0]
    names = ["method", "dataset", "bits", "schedule", "seed", "database", "pool", "val", "round", "items"]
    assert [row[n] for n in names] == ["lcdh", "wiki", 16, "shuffled:100", 0, "reindexed", "none", 0, 2, 300]
    assert (row.fidelity, row.key, row.stale, row.status) == ("textbook", one.spec.key, "old", "ok")


def test_the_frame_has_costs_and_empty_queries() -> None:
    frame = Results([record()]).frame()
    values = {(m, d): v for m, d, v in zip(frame.metric, frame.direction, frame.value, strict=True)}
    assert values["seconds:fit", ""] == 1.5
    assert values["state_bytes", ""] == 99
    assert values["empty_queries", "i2t"] == 1


def test_a_failed_cell_is_a_row_without_a_value() -> None:
    frame = Results([record("ukd"), failed()]).frame()
    rows = frame[frame.status == "failed"]
    assert len(rows) == 1
    assert rows.reason.item() == "boom" and rows.value.isna().all() and rows["round"].isna().all()


def test_a_frame_of_no_records_has_its_columns() -> None:
    frame = Results([]).frame()
    assert len(frame) == 0 and {"method", "metric", "value"} <= set(frame.columns)


def test_of_two_records_of_one_cell_the_later_counts() -> None:
    results = Results([failed(), record("ukd"), record(value=0.8)])
    assert [(r.spec.method, r.status) for r in results] == [("lcdh", "ok"), ("ukd", "ok")]


def test_printing_the_table_shows_the_numbers() -> None:
    assert ".700" in str(Results([record()]).table())


def test_the_metric_is_handed_to_the_report() -> None:
    with pytest.raises(ParameterError, match="no stored metric 'map@7'"):
        Results([record()]).table("map@7")


def test_staleness_is_handed_to_the_report() -> None:
    one = record()
    assert "§ stale: " in str(Results([one], stale={one.spec.key: "the code has changed"}).table())


def test_a_report_that_has_no_use_for_a_metric_is_not_given_one() -> None:
    assert "Time and memory" in str(Results([record()]).table(report="timing"))


def test_somebody_elses_report_need_not_know_what_the_harness_offers(plugin: str) -> None:
    assert str(Results([record()]).table(report=plugin)) == "1 records"


def test_options_reach_the_report(plugin: str) -> None:
    assert str(Results([record()]).table(report=plugin, unit="cells")) == "1 cells"


def test_an_option_that_a_report_does_not_have_is_refused(plugin: str) -> None:
    with pytest.raises(ParameterError, match=r"has no option 'colour'\. Known: unit"):
        Results([record()]).table(report=plugin, colour="red")


def test_an_unknown_report_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'map_table'"):
        Results([record()]).table(report="map_tabel")


def test_arrays_are_handed_to_the_report() -> None:
    with pytest.raises(ParameterError, match="no stored array"):
        Results([record()], arrays=lambda r: {}).table(report="pr_curve")


def test_an_error_of_a_report_begins_with_its_name() -> None:
    with pytest.raises(
        ParameterError, match=r"^report 'rounds': all 1 cells were evaluated after their last"
    ):
        Results([record()]).table(report="rounds")


def test_a_report_that_shows_nothing_is_an_error() -> None:
    with pytest.raises(ParameterError, match="report 'stages': none of 1 cells has numbers to show"):
        Results([failed()]).figure("stages")


def test_a_part_keeps_staleness_arrays_and_colours() -> None:
    ours, theirs = record(), record("ukd")
    whole = Results([ours, theirs], stale={theirs.spec.key: "old"}, arrays=lambda r: {})
    part = whole.select(lambda r: r.spec.method == "ukd")
    assert [r.spec.method for r in part] == ["ukd"] and part.evidence is whole.evidence
    assert part.stale == whole.stale and part.looks["ukd"] == whole.looks["ukd"]


def test_a_reference_takes_no_place_among_the_looks() -> None:
    results = Results(
        [record("lcdh"), record("label_oracle", reference="oracle")], cast=["x", "label_oracle"]
    )
    assert results.places == {"lcdh": 0, "x": 1} and set(results.looks) == {"lcdh", "x", "label_oracle"}


def test_a_method_that_is_not_installed_is_none_and_has_no_defaults() -> None:
    results = Results([record("gone")])
    assert results.method("gone") is None and results.method("lcdh") is not None
    with pytest.raises(UnknownNameError, match="no method named 'gone'"):
        results.defaults("gone")


def test_defaults_are_those_that_the_method_declares() -> None:
    assert Results([]).defaults("random_projection") == {}
    assert Results([]).defaults("lcdh")["lambda1"] == 0.3


def test_statistics_are_measured_by_whoever_made_the_results() -> None:
    statistics: Any = object()
    assert Results([record()], describe=lambda r: statistics).statistics(record()) is statistics
    assert Results([record()]).statistics(record()) is None


def test_a_notebook_shows_the_table() -> None:
    assert ">lcdh</th>" in Results([record()])._repr_html_()


def test_filter_keeps_the_cells_that_have_these_values() -> None:
    results = Results([record(bits=b, method=m) for b in (8, 16, 32) for m in ("lcdh", "ukd", "olsh")])
    some = results.filter(method=["lcdh", "ukd"], bits=16)
    assert [(r.spec.method, r.spec.bits) for r in some] == [("lcdh", 16), ("ukd", 16)]
    assert len(results.filter(schedule="shuffled:100", dataset="wiki", status="ok")) == 9
    assert len(results.filter(schedule="drift:100")) == 0


def test_filter_refuses_a_field_that_no_cell_has() -> None:
    with pytest.raises(UnknownNameError, match=r"no field of a cell named 'bit'\. Did you mean 'bits'"):
        Results([record()]).filter(bit=8)


def test_cell_gives_the_one_record() -> None:
    results = Results([record(bits=8), record(bits=16)])
    assert results.cell(bits=16) is results.records[1]


def test_cell_names_what_distinguishes_several_cells() -> None:
    results = Results([record(bits=8, seed=s) for s in (0, 1)])
    with pytest.raises(ParameterError, match=r"2 of 2 cells have bits=8; expected one. Give seed too."):
        results.cell(bits=8)
    with pytest.raises(ParameterError, match="0 of 2 cells have bits=9"):
        results.cell(bits=9)


def test_plot_draws_a_figure() -> None:
    results = Results([record(bits=b) for b in (8, 16)])
    assert results.plot("bits").title == results.figure("bits").title


def test_a_notebook_shows_one_line_where_no_cell_has_numbers() -> None:
    assert Results([])._repr_html_().startswith("<p>&lt;Results: 0 records")
