"""bench.study.ablation: the cells of an ablation, and which stands against which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import ParameterError, UnknownNameError
from bench.running import sweep
from bench.study import ablation
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = ",".join(str(Path(__file__).with_name("plugins") / name) for name in ("shares.py", "tiny.py"))


def study(tmp_path: Path, **changes: Any) -> Study:
    small = {"methods": "shares", "datasets": "tiny", "bits": "8", "seeds": 2, "plugin": PLUGINS}
    return Study.make(None, **{**small, "results": str(tmp_path / "runs"), **changes})


def test_every_variant_stands_against_the_full_cell_of_its_seed(tmp_path: Path) -> None:
    plan = ablation.plan(Planner(), study(tmp_path))
    by_key = {cell.spec.key: cell.spec for cell in plan.cells}
    [_, mean, pool] = plan.contrasts
    for full, variant in mean.pairs.items():
        assert by_key[variant].params == {"weight": 0.0}
        assert by_key[variant].seed == by_key[full].seed
    assert {by_key[v].pool for v in pool.pairs.values()} == {"full"}
    assert {by_key[k].pool for k in pool.pairs} == {"first_chunk"}


def test_a_variant_that_changes_nothing_is_the_full_cell(tmp_path: Path) -> None:
    plan = ablation.plan(Planner(), study(tmp_path), ["B0"])
    assert len(plan.cells) == 2
    assert all(full == variant for full, variant in plan.contrasts[0].pairs.items())


def test_what_is_set_for_the_method_stays_set_in_its_variants(tmp_path: Path) -> None:
    plan = ablation.plan(Planner(), study(tmp_path, methods="shares[power=2]", seeds=1), ["B1"])
    assert [cell.spec.params for cell in plan.cells] == [{"power": 2.0}, {"power": 2.0, "weight": 0.0}]


def test_an_unknown_variant_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"variant of shares named 'B9'.*B0, B1, B2"):
        ablation.plan(Planner(), study(tmp_path), ["B9"])


def test_no_variant_at_all_is_refused_and_does_not_mean_all(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="variants is empty"):
        ablation.plan(Planner(), study(tmp_path), [])


def test_a_method_without_variants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="'lemon' declares no variants"):
        ablation.plan(Planner(), study(tmp_path, methods="lemon"))


def test_an_ablation_is_of_one_method(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="takes one method; got"):
        ablation.plan(Planner(), study(tmp_path, methods="shares[power=1,2]"))


def test_a_variant_sets_axes_of_a_study_and_nothing_else(tmp_path: Path) -> None:
    planner, one = Planner(), study(tmp_path, seeds=1)
    [cell] = planner.cells(one)
    other = planner.variant(one, cell, {}, {"labelled": 0.5, "schedule": "stored:30"})
    assert (other.spec.schedule.order, other.spec.labelled) == ("stored", 0.5)
    with pytest.raises(UnknownNameError, match="axis of a study named 'bits'"):
        planner.variant(one, cell, {}, {"bits": 16})
    with pytest.raises(ParameterError, match="is one cell"):
        planner.variant(one, cell, {}, {"labelled": [0.5, 1.0]})


def test_a_variant_has_checked_parameters(tmp_path: Path) -> None:
    planner, one = Planner(), study(tmp_path, seeds=1, methods="shares[power=2]")
    [cell] = planner.cells(one)
    assert planner.variant(one, cell, {"weight": 3}, {}).spec.label == "shares[power=2.0,weight=3.0]"
    with pytest.raises(ParameterError, match="shares: weight must be float; got 'much'"):
        planner.variant(one, cell, {"weight": "much"}, {})


def test_the_cells_are_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for names in (["B1"], None):
        one = study(tmp_path)
        plan = ablation.plan(Planner(), one, names)
        sweep.complete(one, plan.cells, progress=True)
        lines.append(len(capsys.readouterr().err.splitlines()))
    assert lines == [4, 2]  # two seeds of full and B1, then of B2; B0 is full


def test_the_command_prints_the_table_and_a_second_one_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ablate", "shares", "--plugin", PLUGINS, "--datasets", "tiny", "--bits", "8", "--seeds", "2"]
    for _ in range(2):
        assert main([*words, "--results", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert "B1       the mean" in out and "B1: weight=0.0" in out
    assert len(re.findall(r"^\[\d/6\]", err, re.MULTILINE)) == 6


def test_the_variants_of_a_method_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "shares", "--plugin", PLUGINS.split(",")[0]]) == 0
    assert "  B1  the mean (weight=0.0)" in capsys.readouterr().out
