"""bench.running.tuning: parameters are chosen on validation queries, and nobody looks at the test queries."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api import Dataset, DatasetSource
from bench.cli import main
from bench.data.cache import CachedDataset
from bench.errors import BenchError, ParameterError, UnknownNameError
from bench.plugins import registry
from bench.progress import Task
from bench.running import tuning
from bench.running.tuning import Choice, Span, Trial, Tuned, space_of
from bench.study.planner import Planner
from bench.study.selectors import Plugin, Selected
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

FOLDER = Path(__file__).with_name("plugins")
PLUGINS = ",".join(str(FOLDER / name) for name in ("shares.py", "tiny.py"))
SPACE = ["weight=-1..1", "power=log:0.1..10"]


def study(tmp_path: Path, **changes: Any) -> Study:
    small = {"methods": "shares", "datasets": "tiny", "bits": "8", "seeds": 1, "plugin": PLUGINS, "val": 20}
    return Study.make(None, **{**small, "results": str(tmp_path / "runs"), **changes})


class Poison:
    """Stands for the test queries: to look at any part of it is an error."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test queries were read: {name}")


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = CachedDataset.open

    def opened(stored: CachedDataset, source: DatasetSource) -> Dataset:
        return replace(plain(stored, source), query=Poison())  # type: ignore[arg-type]

    monkeypatch.setattr(CachedDataset, "open", opened)


def test_tuning_never_reads_the_test_queries(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The same search with and without them: every trial, the choice and the study file are equal."""
    plain = tuning.tune(study(tmp_path), trials=4, space=SPACE)
    request.getfixturevalue("poisoned")
    blind = tuning.tune(study(tmp_path / "blind"), trials=4, space=SPACE)
    assert blind.trials == plain.trials
    assert tuning.study_file(blind) == tuning.study_file(plain)


@pytest.mark.usefixtures("poisoned")
def test_the_poison_of_the_test_above_stops_a_run_that_does_read_them(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="test queries were read"):
        bench.run(study(tmp_path, val=0))


def test_the_search_is_the_same_every_time(tmp_path: Path) -> None:
    one, two = (tuning.tune(study(tmp_path / name), trials=3, space=SPACE) for name in "ab")
    assert one.trials == two.trials
    assert one.trials != tuning.tune(study(tmp_path / "c"), trials=3, space=SPACE, seed=1).trials


def test_an_interrupted_search_goes_on_after_its_finished_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(task: Task, text: str) -> None:
        task.advance()
        if task.done == 3:
            raise KeyboardInterrupt

    runs = tmp_path / "runs"
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(Task, "finish", stop)
        tuning.tune(study(tmp_path), trials=4, space=SPACE, progress=True)
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*.json")}
    assert len(before) == 3
    resumed = tuning.tune(study(tmp_path), trials=4, space=SPACE)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert resumed.trials == tuning.tune(study(tmp_path / "whole"), trials=4, space=SPACE).trials


def test_the_first_trial_is_the_method_as_given(tmp_path: Path) -> None:
    found = tuning.tune(study(tmp_path, methods="shares[power=3]"), trials=1, space=["weight=0..1"])
    assert found.trials[0].values == {}
    assert found.method.startswith("shares[power=3.0")


def tuned(tmp_path: Path, *scores: float | None) -> Tuned:
    trials = tuple(
        Trial({"weight": i / 10} if i else {}, s, "" if s else "no room") for i, s in enumerate(scores)
    )
    space = {"weight": Span(0.1, 10, log=True, whole=False)}
    given = Selected(Plugin("method", "shares"), {})
    return Tuned(study(tmp_path, methods="shares"), given, space, 0, trials, {"tiny": "f" * 8})


def test_a_tie_with_the_method_as_given_changes_nothing(tmp_path: Path) -> None:
    assert tuned(tmp_path, 0.5, 0.5, 0.4).method == "shares"
    assert tuned(tmp_path, 0.5, None, 0.6).method == "shares[weight=0.2]"


def test_the_study_file_runs_the_choice_on_the_test_queries(tmp_path: Path) -> None:
    registry.add_file(FOLDER / "shares.py")
    path = tmp_path / "tuned.toml"
    path.write_text(tuning.study_file(tuned(tmp_path, 0.5, 0.625)), encoding="utf-8")
    [planned] = Planner().cells(Study.make(path, results=str(tmp_path / "runs")))
    cell = planned.spec
    assert (cell.params, cell.val, cell.dataset, cell.bits) == ({"weight": 0.1}, 0, "tiny", 8)


def test_the_study_file_says_where_its_values_come_from(tmp_path: Path) -> None:
    told = tomllib.loads(tuning.study_file(tuned(tmp_path, 0.5, None, 0.625)))["tuned"]
    kept = ("score", "score_as_given", "val", "trials", "failed", "search")
    assert [told[k] for k in kept] == [0.625, 0.5, 20, 2, 1, "Optuna TPE, seed 0"]
    assert told["space"] == {"weight": "log:0.1..10"} and told["data"] == {"tiny": "f" * 8}


def test_a_search_in_which_nothing_runs_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no trial of shares ran: .* assigns it no database codes"):
        tuning.tune(study(tmp_path, database="learned"), trials=1, space=SPACE)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_of_the_search_that_optuna_does_not_take_is_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"seed of the search must be from 0 .* got {seed}"):
        tuning.tune(study(tmp_path), trials=1, space=SPACE, seed=seed)


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BenchError, match=r"pip install 'hashbench\[tune\]'"):
        tuning.tune(study(tmp_path), trials=1, space=SPACE)


def test_without_val_there_are_200_validation_queries(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="val=200 and pool=first_chunk take 200 of 60"):
        tuning.tune(study(tmp_path, val=0), trials=1, space=SPACE)


def test_a_space_is_read_by_the_type_of_its_parameter() -> None:
    space = space_of(
        Plugin("method", "lcdh"), ["lambda1=log:0.01..10", "sweeps=1..4", "teacher=trained,zero"]
    )
    assert space["lambda1"] == Span(0.01, 10.0, log=True, whole=False)
    assert space["sweeps"] == Span(1, 4, log=False, whole=True)
    assert space["teacher"] == Choice(("trained", "zero"))


def test_the_default_space_is_around_the_defaults_and_within_the_bounds() -> None:
    registry.add_file(FOLDER / "shares.py")
    around = Span(0.1, 10.0, log=True, whole=False)
    assert space_of(Plugin("method", "shares")) == {"weight": around, "power": around}
    assert space_of(Plugin("method", "shares"), fixed=["power"]) == {"weight": around}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("weight=1..0", "LOW below HIGH"),
        ("weight=log:0..1", "LOW above 0 on a logarithmic"),
        ("weight=1", "at least two values"),
        ("weight=a..b", "weight must be float"),
    ],
)
def test_a_space_that_cannot_be_read_is_refused(text: str, says: str) -> None:
    registry.add_file(FOLDER / "shares.py")
    with pytest.raises(ParameterError, match=says):
        space_of(Plugin("method", "shares"), [text])


def test_an_unknown_parameter_is_refused() -> None:
    registry.add_file(FOLDER / "shares.py")
    with pytest.raises(UnknownNameError, match="Did you mean 'weight'"):
        space_of(Plugin("method", "shares"), ["weigth=0..1"])


def test_numbers_that_are_tried_are_short() -> None:
    class Asked:
        def suggest_float(self, *_: Any, **__: Any) -> float:
            return 0.123456789

    assert Span(0.01, 1.0, log=True, whole=False).suggest(Asked(), "x") == 0.123


def test_the_command_writes_a_study_file_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--datasets", "tiny", "--bits", "8", "--seeds", "1", "--plugin", PLUGINS, "--results", "runs"]
    assert main(["tune", "shares", *words, "--val", "20", "--trials", "2", "--space", *SPACE]) == 0
    out, err = capsys.readouterr()
    assert "wrote shares-tuned.toml" in out and "[3/3] weight=" in err
    assert main(["run", "shares-tuned.toml", "--results", "runs"]) == 0
