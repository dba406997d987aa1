"""bench.study.grid and `bench sweep`: grids over parameters and axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import ParameterError, UnknownNameError
from bench.study import grid
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = ",".join(str(Path(__file__).with_name("plugins") / name) for name in ("shares.py", "tiny.py"))


def study(**changes: Any) -> Study:
    small = {
        "methods": "shares",
        "datasets": "tiny",
        "bits": "8",
        "seeds": 1,
        "train": "all",
        "plugin": PLUGINS,
    }
    return Study.make(None, **{**small, **changes})


def test_a_grid_over_two_parameters_is_every_combination() -> None:
    made, axes = grid.over(Planner(), study(), ["weight=0,2", "power=2,3,4"])
    assert axes == ["weight", "power"]
    assert len(Planner().cells(made)) == 6


def test_a_grid_over_axes_of_the_study_changes_those() -> None:
    made, _ = grid.over(Planner(), study(), ["schedule=stored:20,shuffled:30", "labelled=0.5,1"])
    values = {(str(c.spec.schedule), c.spec.labelled) for c in Planner().cells(made)}
    assert values == {("stored:20", 0.5), ("stored:20", 1.0), ("shuffled:30", 0.5), ("shuffled:30", 1.0)}


def test_what_is_set_for_the_method_is_fixed_and_the_grid_overrides_it() -> None:
    made, _ = grid.over(Planner(), study(methods="shares[power=2,weight=5]"), ["weight=0,3"])
    assert [c.spec.params for c in Planner().cells(made)] == [
        {"power": 2.0, "weight": 0.0},
        {"power": 2.0, "weight": 3.0},
    ]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["weight"], "'weight' is not NAME=VALUES"),
        (["weight=1", "weight=2"], "weight is in the grid twice"),
        (["weight=1,2", "power=1,2", "labelled=0,1"], "has 1 or 2 axes; got 3"),
    ],
)
def test_a_grid_that_cannot_be_read_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        grid.over(Planner(), study(), texts)


def test_an_unknown_axis_is_refused_with_a_near_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'weight'"):
        grid.over(Planner(), study(), ["weigt=1,2"])


def test_a_grid_is_over_one_method() -> None:
    with pytest.raises(ParameterError, match="one method"):
        grid.over(Planner(), study(methods="shares,lemon"), ["labelled=0,1"])


@pytest.mark.parametrize(
    ("axes", "title"), [(["weight=0,1"], "mAP over weight"), (["weight=0,1", "pool=none,full"], "× pool")]
)
def test_the_command_prints_the_table_of_its_axes(
    axes: list[str], title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "shares", "--grid", *axes, "--plugin", PLUGINS, "--datasets", "tiny", "--bits", "8"]
    assert main([*words, "--seeds", "1", "--results", str(tmp_path / "runs")]) == 0
    assert title in capsys.readouterr().out.splitlines()[0]


def test_an_unknown_metric_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "shares", "--grid", "weight=0,1", "--plugin", PLUGINS, "--metric", "mop"]
    assert main([*words, "--results", str(tmp_path / "runs")]) == 2
    assert "mop" in capsys.readouterr().err and not (tmp_path / "runs").exists()
