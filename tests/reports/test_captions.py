"""Under every score stands what it is: the metric, its ties, the chance level; and no metric is made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.errors import ParameterError
from bench.reporting import definition, protocols
from bench.reporting.figures import Figure
from bench.reporting.tables import Table
from bench.results import Results

Make = Callable[..., Any]
SWEPT = {f"lcdh[{i}]": 1.0 + i for i in range(4)}
VALUES = [{"lambda1": a, "lambda2": b} for a in (0.1, 1.0) for b in (0.1, 1.0)]
BY_METRIC = (
    *("map_table", "rounds", "average", "bits", "learning", "pareto", "rehash", "critical"),
    *("surface", "surface_plot", "sensitivity", "sensitivity_plot"),
)
OF_MAP = ("significance", "wins", "ablation", "backward", "forgetting")
OF_PRECISION = ("pr_curve", "pr_radius", "pr_rank", "precision_at")
FIGURES = (
    *("bits", "learning", "pareto", "rehash", "critical", "surface_plot", "sensitivity_plot", "forgetting"),
    *("pr_radius", "pr_rank", "precision_at"),
)


@pytest.fixture(scope="module")
def methods(make: Make) -> Any:
    options = {"bits": (8, 16), "schedule": "class_incremental:3"}
    return make({"lcdh": 1.0, "ukd": 2.0, "cca": 6.0}, **options)


@pytest.fixture(scope="module")
def sweep(make: Make) -> Any:
    return make(SWEPT, params=dict(zip(SWEPT, VALUES, strict=True)))


@pytest.fixture
def shown(methods: Any, sweep: Any) -> Callable[..., Table | Figure]:
    """A report, by name, of cells that it can show."""

    def found(report: str, **options: Any) -> Table | Figure:
        made = methods
        if report.startswith(("surface", "sensitivity")):
            made = sweep
        if report.startswith("sensitivity"):
            made = type(sweep)([r for r in sweep.records if r.spec.params["lambda1"] == 1.0], sweep.stored)
        if report == "ablation":
            plain = [replace(r, spec=replace(r.spec, params={})) for r in sweep.records[:2]]
            keys = {new.spec.key: old.spec.key for new, old in zip(plain, sweep.records[:2], strict=True)}
            stored = {**sweep.stored, **{new: sweep.stored[old] for new, old in keys.items()}}
            made = type(sweep)([*plain, *sweep.records], stored)
        results = made.results()
        if report in FIGURES:
            return results.figure(report, **options)
        return results.table(report=report, **options)

    return found


def captions(report: Table | Figure) -> list[str]:
    parts = report.blocks if isinstance(report, Table) else report.plots
    assert parts
    return ["\n".join(part.caption) for part in parts]


@pytest.mark.parametrize("report", [*BY_METRIC, *OF_MAP])
def test_a_report_of_map_says_what_it_is_how_ties_count_and_what_chance_gives(
    shown: Callable[..., Table | Figure], report: str
) -> None:
    for caption in captions(shown(report)):
        assert "mAP without a cutoff, tie-aware (expected over the orders of tied items)" in caption
        assert "chance" in caption


@pytest.mark.parametrize("report", OF_PRECISION)
def test_a_report_of_precision_says_how_ties_count_and_what_chance_gives(
    shown: Callable[..., Table | Figure], report: str
) -> None:
    for caption in captions(shown(report)):
        assert "no ties to break" in caption or "expected over the orders of tied items" in caption
        assert "chance" in caption


@pytest.mark.parametrize("report", ["surface", "sensitivity_plot", "significance", "wins", "pareto"])
def test_a_chance_level_without_a_row_of_its_own_stands_in_the_caption_as_a_number(
    shown: Callable[..., Table | Figure], methods: Any, sweep: Any, report: str
) -> None:
    made = sweep if report.startswith("s") and report != "significance" else methods
    level = made.records[0].rounds[-1].metrics["chance/i2t"]
    for caption in captions(shown(report)):
        assert f"chance level {level:.3f}".replace("0.", ".") in caption


@pytest.mark.parametrize("report", BY_METRIC)
def test_a_metric_that_is_not_stored_is_an_error_and_no_empty_report(
    shown: Callable[..., Table | Figure], report: str
) -> None:
    with pytest.raises(ParameterError, match=r"no stored metric 'ndcg@7' .*bench rescore --metric ndcg@7"):
        shown(report, metric="ndcg@7")


@pytest.mark.parametrize("report", ["map_table", "bits", "surface"])
def test_a_metric_whose_chance_level_is_not_stored_says_so(
    shown: Callable[..., Table | Figure], report: str
) -> None:
    for caption in captions(shown(report, metric="precision@100")):
        assert "P@100 (expected share of relevant items among the first R, over the orders" in caption
        assert "chance level not stored" in caption


def test_chance_levels_of_directions_that_differ_are_both_told(methods: Any) -> None:
    record = methods.records[0]
    last = record.rounds[-1]
    other = replace(last, metrics={**last.metrics, "chance/i2t": 0.25, "chance/t2i": 0.5})
    [protocol] = protocols(Results([replace(record, rounds=(other,))]))
    assert "chance level I→T .250, T→I .500" in protocol.caption(metric="map")[-1]


def test_a_stored_metric_of_a_plugin_has_its_name_alone() -> None:
    assert definition("mine@3") == "mine@3"
