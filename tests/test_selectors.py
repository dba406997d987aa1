"""bench.study.selectors and bench.study.study: what the command line asks for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import BenchError, DataError, ParameterError, UnknownNameError
from bench.records import RunSpec
from bench.study.planner import Planner
from bench.study.selectors import Plugin, expand
from bench.study.study import Study


def study(**options: object) -> Study:
    return Study.make(None, **{"methods": "random_projection", "bits": "8", "seeds": 1, **options})


def specs(**options: object) -> list[RunSpec]:
    return [cell.spec for cell in Planner().cells(study(**options))]


def test_lists_of_values_make_a_grid_and_defaults_are_left_out() -> None:
    selected = expand("method", ["lemon[beta=1.0,2.0,gamma=0.5]"])
    assert [one.params for one in selected] == [{"beta": 1.0, "gamma": 0.5}, {"beta": 2.0, "gamma": 0.5}]


def test_a_value_equal_to_the_default_is_the_same_cell() -> None:
    [default] = specs(methods="lemon")
    beta = Plugin("method", "lemon").parameters["beta"].default
    assert [spec.key for spec in specs(methods=f"lemon,lemon[beta={beta}]")] == [default.key]


def test_a_whole_number_is_a_float_where_one_is_declared() -> None:
    assert expand("method", ["lemon[beta=2]"]) == expand("method", ["lemon[beta=2.0]"])


def test_a_near_name_is_offered() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'lemon'"):
        expand("method", ["lemmon"])
    with pytest.raises(UnknownNameError, match="Did you mean 'beta'"):
        expand("method", ["lemon[betta=1]"])


def test_a_bad_value_names_method_parameter_and_expectation() -> None:
    with pytest.raises(ParameterError, match=r"lemon: beta must be float .*; got 'x'"):
        expand("method", ["lemon[beta=x]"])


def test_the_grid_is_the_product_of_its_axes() -> None:
    cells = specs(bits="8,16", seeds="0,4", database="reindexed,frozen")
    assert len(cells) == 8
    assert {spec.seed for spec in cells} == {0, 4}


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert study(seeds=3).seeds == (0, 1, 2)


def test_the_pool_is_no_axis_for_a_method_without_an_offline_stage() -> None:
    assert {spec.pool for spec in specs(pool="first_chunk,full,none")} == {"none"}
    assert {spec.pool for spec in specs(pool="separate:100")} == {"separate:100"}


def test_options_override_the_study_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('methods = ["random_projection"]\nbits = [24]\nseeds = 4\n')
    made = Study.make(file, seeds=1)
    assert (made.methods, made.bits, made.seeds) == (("random_projection",), (24,), (0,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": "0"}, "from 1 to 1024; got 0"),
        ({"bits": "1025"}, "got 1025"),
        ({"bits": "eight"}, "bits must be a whole number; got 'eight'"),
        ({"database": "encoded"}, "no value of database named 'encoded'"),
        ({"pool": "half"}, "pool must be one of"),
        ({"evaluate": "first"}, "evaluate must be one of"),
        ({"directions": "i2v"}, "no value of directions named 'i2v'"),
        ({"seeds": 0}, "seeds must be from 1 to 10000"),
        ({"seeds": 10**12}, "seeds must be from 1 to 10000"),
        ({"jobs": 0}, "jobs must be from 1 to 1024"),
        ({"methods": ""}, "methods is empty"),
        ({"last": "drop"}, "last must be one of merge, short"),
        ({"methods": "lemon[beta"}, "has no closing bracket"),
        ({"no_such": 1}, "no option of a study named 'no_such'"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(options: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        specs(**options)


def test_a_study_file_that_is_not_toml_says_so(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("methods = [")
    with pytest.raises(DataError, match="is not TOML"):
        Study.make(file)
    with pytest.raises(DataError, match="No such file"):
        Study.make(tmp_path / "absent.toml")


def test_a_value_that_is_refused_is_said_with_the_study_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.toml"
    file.write_text("database = []")
    assert main(["plan", str(file)]) == 2
    assert capsys.readouterr().err == f"bench: study {file}: database is empty. Name at least one.\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_study_file_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.toml")
    with pytest.raises(DataError, match="it is a named pipe; expected a file"):
        Study.make(tmp_path / "s.toml")


def test_the_device_reaches_the_methods_that_have_one() -> None:
    cells = specs(methods="lcdh,random_projection", device="cuda")
    assert [spec.params for spec in cells] == [{"device": "cuda"}, {}]
