"""Every figure: that it draws without a warning, what its numbers are, and who is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import ParameterError
from bench.metrics import mean
from bench.reporting.figures import Figure
from bench.reports import surface_plot
from bench.results import Results
from bench.scoring.hamming import Histograms

METHODS = {"lcdh": 1.0, "ukd": 2.0, "cca": 6.0, "oracle": 0.2}
REFERENCES = {"oracle": "oracle"}
EVERY = (
    *("pr_radius", "pr_rank", "precision_at", "learning", "bits", "pareto", "rehash", "stages", "health"),
    *("critical", "forgetting"),
)
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def study(make: Make) -> Any:
    return make(METHODS, bits=(8, 16), references=REFERENCES)


@pytest.fixture(scope="module")
def stream(make: Make) -> Any:
    """A class-incremental stream under two database policies."""
    options = {"schedule": "class_incremental:3", "databases": ("reindexed", "frozen")}
    return make({"lcdh": 1.0, "ukd": 2.0}, **options)


def figure(study: Any, stream: Any, name: str) -> Figure:
    found: Figure = (stream if name in ("forgetting", "rehash") else study).results().figure(name)
    return found


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_draws_without_a_warning_and_tells_its_protocol(
    study: Any, stream: Any, name: str, tmp_path: Path
) -> None:
    found = figure(study, stream, name)
    files = found.save(tmp_path, name, ("pdf",))
    assert len(files) == len(found.plots) and all(f.stat().st_size > 1000 for f in files)
    for plot in found.plots:
        words = "\n".join(plot.caption)
        assert "schedule" in words and "seeds 0, 1" in words and "queries" in words
    assert found.data


def test_dollars_in_a_name_are_no_formula(make: Make, tmp_path: Path) -> None:
    strange = {"a": {"path": r"$\frac{$ and $y$"}}
    made = make({"a": 1.0, "b": 2.0}, bits=(8, 16), params=strange).results()
    for name in ("bits", "stages"):
        [svg] = made.figure(name).save(tmp_path, name, ("svg",))
        assert r"$\frac{$ and $y$" in svg.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["pr_radius", "learning", "stages"])
def test_protocols_are_drawn_apart(make: Make, name: str) -> None:
    two = make({"lcdh": 1.0, "ukd": 2.0}, databases=("reindexed", "frozen")).results().figure(name)
    assert [p.name for p in two.plots] == ["1-wiki-reindexed", "2-wiki-frozen"]
    assert ["reindexed" in " ".join(p.caption) for p in two.plots] == [True, False]


def test_a_method_keeps_its_colour_whoever_else_is_drawn(study: Any) -> None:
    records = study.records
    whole = Results(records).looks
    part = Results([r for r in records if r.spec.method in ("cca", "ukd")], cast=tuple(METHODS)).looks
    assert whole["cca"] == part["cca"] and whole["ukd"] == part["ukd"]
    assert len({(str(x.color), x.marker, str(x.linestyle)) for x in whole.values()}) == len(METHODS)


def test_methods_of_the_default_study_look_the_same_in_every_study(study: Any) -> None:
    here, there = (
        Results(study.records[:1], cast=cast).looks
        for cast in (["doch", "lemon", "lcdh"], ["lemon", "x", "cca"])
    )
    assert here["lemon"] == there["lemon"]
    assert len({str(look.color) for look in here.values()}) == len(here)


def test_a_reference_takes_no_colour_also_from_figures_that_leave_it_out(study: Any) -> None:
    results = study.results()
    rivals = [r for r in results.records if not r.reference]
    assert len(rivals) < len(results.records)
    drawn = results.but(records=rivals).looks
    assert drawn == {r.spec.label: results.looks[r.spec.label] for r in rivals}


def test_no_two_of_fourteen_methods_have_one_colour(study: Any) -> None:
    looks = Results(study.records[:1], cast=[f"m{i}" for i in range(13)]).looks
    assert len({str(x.color) for x in looks.values()}) == 14


def test_no_two_of_a_hundred_methods_look_the_same(study: Any) -> None:
    looks = Results(study.records[:1], cast=[f"m{i}" for i in range(99)]).looks
    assert len({(str(x.color), str(x.linestyle), x.marker) for x in looks.values()}) == 100
    assert len({(str(x.color), str(x.linestyle)) for x in list(looks.values())[:42]}) == 42


def test_two_references_of_one_kind_have_different_markers(make: Make) -> None:
    made = make({"a": 1.0, "b": 1.0, "c": 1.0}, references={"b": "oracle", "c": "oracle"}, seeds=1)
    looks = made.results().looks
    assert looks["b"].marker != looks["c"].marker


def test_axes_of_shares_fit_the_data(study: Any) -> None:
    plot = study.results().figure("pr_rank").plots[0]
    low, high = plot.draw().axes[0].get_ylim()
    values = [v for line in plot.draw().axes[0].lines for v in line.get_ydata()]
    assert 0 < min(values) - low < 0.1 and high <= 1.02


def test_every_line_has_markers(study: Any) -> None:
    for name in ("pr_rank", "precision_at", "learning", "bits"):
        axis = study.results().figure(name).plots[0].draw().axes[0]
        assert all(line.get_marker() != "None" for line in axis.lines if line.get_label() != "chance"), name


def test_two_panels_are_as_wide_as_a_column_of_two(make: Make) -> None:
    study = make({"a": 1.0, "b": 2.0}, bits=(16,), seeds=1).results()
    assert study.figure("pr_radius").plots[0].draw().get_size_inches()[0] == 3.5


def test_precision_at_n_is_that_of_the_metrics(study: Any) -> None:
    rows = study.results().figure("precision_at").data
    mine = [r for r in study.records if r.spec.method == "lcdh" and r.spec.bits == 16]
    hist = [Histograms(study.arrays(r)["i2t/2/counts"]) for r in mine]
    shown = next(
        r["precision"]
        for r in rows
        if (r["method"], r["bits"], r["direction"], r["N"]) == ("lcdh", 16, "i2t", 10)
    )
    assert shown == pytest.approx(np.mean([mean("precision@10", h) for h in hist]))


def test_the_stream_is_drawn_with_the_values_of_the_records(study: Any) -> None:
    rows = study.results().figure("learning").data
    shown = [r["mAP"] for r in rows if (r["method"], r["bits"], r["direction"]) == ("ukd", 8, "t2i")]
    mine = [r for r in study.records if r.spec.method == "ukd" and r.spec.bits == 8]
    expected = [np.mean([r.rounds[t].metrics["map/t2i"] for r in mine]) for t in range(3)]
    assert shown == pytest.approx(expected)


def test_rewrites_are_counted_per_stored_bit(stream: Any) -> None:
    rows = stream.results().figure("rehash").data
    mine = [r for r in stream.records if r.spec.method == "lcdh" and r.spec.database == "reindexed"]
    flips = [sum(x.bits_rewritten or 0 for x in r.rounds) / (2 * 16 * 300) for r in mine]
    shown = [r["rewrites per stored bit"] for r in rows if r["method"] == "lcdh" and r["direction"] == "i2t"]
    assert shown == pytest.approx([0.0, np.mean(flips)])


def test_a_point_has_the_data_of_its_own_dataset_and_chance_is_nobodys(make: Make) -> None:
    made = make({"lcdh": 1.0, "ukd": 2.0}, datasets=("wiki", "fashion"), bits=(8, 16), evaluate="last")
    for rows in (made.results().figure("bits").data, made.results().table(report="significance").data):
        assert {(r["dataset"], r["data"]) for r in rows} == {(d, f"data-{d}") for d in ("wiki", "fashion")}
    chance = [r for r in made.results().figure("bits").data if r["method"] == "chance"]
    assert chance and {r["fidelity"] for r in chance} == {""}


def test_every_point_on_rehashing_has_the_policy_of_its_runs(stream: Any) -> None:
    rows = stream.results().figure("rehash").data
    for database in ("frozen", "reindexed"):
        mine = [r for r in stream.records if (r.spec.method, r.spec.database) == ("lcdh", database)]
        [shown] = [
            r["mAP"]
            for r in rows
            if (r["method"], r["database"], r["direction"]) == ("lcdh", database, "i2t")
        ]
        assert shown == pytest.approx(np.mean([r.rounds[-1].metrics["map/i2t"] for r in mine]))
    assert {r["database"] for r in rows} == {"frozen", "reindexed"}  # learned was not run


def test_rehashing_after_two_offline_stages_is_drawn_apart(stream: Any) -> None:
    pooled = [
        replace(r, spec=replace(r.spec, pool=pool))
        for pool in ("first_chunk", "full")
        for r in stream.records
    ]
    found = type(stream)(pooled, stream.stored).results().figure("rehash")
    assert [p.name for p in found.plots] == ["1-wiki-first_chunk", "2-wiki-full"]
    assert {r["pool"] for r in found.data} == {"first_chunk", "full"}


@pytest.mark.parametrize(("name", "column", "last"), [("pr_radius", "radius", 16), ("pr_rank", "N", 300)])
def test_a_point_of_a_curve_names_its_radius_or_rank(study: Any, name: str, column: str, last: int) -> None:
    rows = study.results().figure(name).data
    mine = [r for r in rows if (r["method"], r["bits"], r["direction"]) == ("lcdh", 16, "i2t")]
    assert (mine[0][column], mine[-1][column]) == ({"radius": 0, "N": 1}[column], last)
    assert mine[-1]["recall"] == pytest.approx(1)


def test_ranks_tell_the_protocol_that_they_are_over(study: Any) -> None:
    for row in study.results().figure("critical").data:
        assert (row["dataset"], row["database"], row["bits"]) == ("wiki", "reindexed", "8 16")


def test_one_low_cell_does_not_take_the_whole_scale_of_colours() -> None:
    scores = np.array([[0.404, 0.72, 0.73, 0.74], [0.72, 0.73, 0.74, 0.75]])
    canvas = surface_plot._draw({"a": range(2), "b": range(4)}, {("i2t", 16): scores}, "mAP")
    mesh = canvas.axes[0].collections[0]
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0.72, 0.75)
    assert mesh.colorbar.extend == "min" and not mesh.colorbar.solids.get_rasterized()
    assert any("grey" in line for line in surface_plot._legend({("i2t", 16): scores}))
    assert not any("grey" in line for line in surface_plot._legend({("i2t", 16): scores[1:]}))


def test_a_surface_of_nothing_but_failures_is_an_error(make: Make) -> None:
    values = [{"lambda1": a, "lambda2": b} for a in (0.1, 1.0) for b in (0.1, 1.0)]
    made = make(
        {f"lcdh[{i}]": 1.0 for i in range(4)}, params={f"lcdh[{i}]": v for i, v in enumerate(values)}, seeds=1
    )
    failed = [replace(r, status="failed", rounds=()) for r in made.records]
    with pytest.raises(ParameterError, match="none of 4 cells has numbers"):
        type(made)(failed, made.stored).results().figure("surface_plot")


def test_a_reference_is_no_rival_on_the_pareto_front_nor_in_the_ranks(study: Any) -> None:
    for name in ("pareto", "critical"):
        assert "oracle" not in {r["method"] for r in study.results().figure(name).data}


def test_ranks_go_by_mean_over_seeds_and_directions(study: Any) -> None:
    ranks = {r["method"]: r["rank"] for r in study.results().figure("critical").data}
    assert ranks == {"lcdh": 1.0, "ukd": 2.0, "cca": 3.0}


def test_the_bars_of_the_ranks_do_not_depend_on_the_order_of_a_set(study: Any) -> None:
    [axis] = study.results().figure("critical").plots[0].draw().axes
    bars = [line.get_xdata() for line in axis.lines if len(set(line.get_ydata())) == 1]
    assert bars and all(list(bar) == sorted(bar) for bar in bars)


def test_health_shows_the_code_length_next_to_32_or_the_one_asked_for(study: Any) -> None:
    for asked, shown in ((None, 16), (8, 8)):
        found = study.results().figure("health", bits=asked)
        assert {r["bits"] for r in found.data} == {shown}
        assert [p.name for p in found.plots] == ["image", "text"]


def test_the_shares_of_bits_that_flip_are_those_of_the_records(study: Any) -> None:
    rows = study.results().figure("health", bits=16).data
    mine = [r for r in study.records if r.spec.method == "lcdh" and r.spec.bits == 16]
    flips = [
        b.bits_rewritten / (2 * 16 * a.items)
        for r in mine
        for a, b in zip(r.rounds, r.rounds[1:], strict=False)
    ]
    shown = next(r["flips"] for r in rows if r["method"] == "lcdh")
    assert shown == pytest.approx(np.mean(flips))


def test_old_queries_are_those_introduced_before_the_round(stream: Any) -> None:
    rows = stream.results().figure("forgetting").data
    record = stream.records[0]
    stored = stream.arrays(record)
    old = stored["queries/introduced"] < 2
    expected = mean("map", Histograms(stored["i2t/2/counts"][old]))
    mine = replace(record, spec=replace(record.spec, seed=0))
    alone = [r for r in stream.records if r.spec == mine.spec]
    shown = type(stream)(alone, stream.stored).results().figure("forgetting").data
    value = next(
        r["mAP on old classes"]
        for r in shown
        if (r["method"], r["direction"], r["round"]) == (record.spec.method, "i2t", 2.0)
    )
    assert value == pytest.approx(expected, rel=1e-6)
    assert {r["round"] for r in rows} == {1.0, 2.0}


@pytest.mark.parametrize(
    ("name", "says"),
    [("learning", "--evaluate all"), ("forgetting", "class_incremental"), ("rehash", "--evaluate all")],
)
def test_a_figure_that_needs_every_round_says_so(make: Make, name: str, says: str) -> None:
    made = make({"lcdh": 1.0}, seeds=1, evaluate="last")
    with pytest.raises(ParameterError, match=says):
        made.results().figure(name)


def test_one_code_length_makes_no_line_and_two_methods_no_ranks(make: Make) -> None:
    made = make({"lcdh": 1.0, "ukd": 2.0}, seeds=1)
    for name in ("bits", "critical"):
        with pytest.raises(ParameterError):
            made.results().figure(name)


@pytest.mark.parametrize("name", ["pr_radius", "stages", "pareto", "health", "bits"])
def test_cells_without_numbers_are_told_below_and_not_drawn(study: Any, name: str, tmp_path: Path) -> None:
    failed = replace(
        study.records[0],
        spec=replace(study.records[0].spec, method="broken"),
        status="failed",
        reason="boom",
        rounds=(),
    )
    found = type(study)([*study.records, failed], study.stored).results().figure(name)
    assert "broken" not in {r["method"] for r in found.data}
    if name != "health":  # which shows cells that left codes
        assert "boom" in "\n".join(found.plots[0].notes)
    found.save(tmp_path, name, ("png",))


def test_a_sweep_is_drawn_as_lines_and_as_a_surface(make: Make, tmp_path: Path) -> None:
    settings = [f"lcdh[{i}]" for i in range(4)]
    values = [{"lambda1": a, "lambda2": b} for a in (0.1, 1.0) for b in (0.1, 1.0)]
    made = make(
        dict(zip(settings, (3, 2, 2, 1), strict=True)), params=dict(zip(settings, values, strict=True))
    )
    surface = made.results().figure("surface_plot")
    assert len(surface.data) == 2 * 4
    best = max(surface.data, key=lambda r: r["value"])
    assert (float(best["lambda1"]), float(best["lambda2"])) == (1, 1)
    line = type(made)([r for r in made.records if r.spec.params["lambda1"] == 1.0], made.stored)
    sensitivity = line.results().figure("sensitivity_plot")
    assert len(sensitivity.data) == 2 * 2
    surface.save(tmp_path, "surface", ("png",))
    sensitivity.save(tmp_path, "sensitivity", ("png",))


def test_constant_codes_have_no_rank(study: Any) -> None:
    records = [
        replace(r, notes=("constant image codes",)) if r.spec.method == "cca" else r
        for r in study.results().records
    ]
    more = [
        replace(r, spec=replace(r.spec, method="other"))
        for r in study.results().records
        if r.spec.method == "ukd"
    ]
    ranked = study.results().but(records=[*records, *more]).figure("critical").data
    assert {row["method"] for row in ranked} == {"lcdh", "ukd", "other"}


def test_one_critical_difference_diagram_is_over_all_datasets_and_shows_its_bar(make: Make) -> None:
    from bench.records import Schedule

    made = make({"a": 1.0, "b": 2.0, "c": 4.0}, datasets=("wiki", "fashion"), seeds=1)
    sizes = {"wiki": "shuffled:400", "fashion": "shuffled:2000"}
    own = [
        replace(r, spec=replace(r.spec, schedule=Schedule.parse(sizes[r.spec.dataset]))) for r in made.records
    ]
    [plot] = Results(own).figure("critical").plots
    assert "over 2 blocks" in plot.caption[0]
    assert any(text.get_text() == "  CD = 2.34" for text in plot.draw().axes[0].texts)
