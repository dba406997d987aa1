"""Arguments that no one means: each is refused in one line that names it, and none is accepted in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.cli import main
from bench.contract.params import number
from bench.disk.places import local

CELL = ["--methods", "random_projection", "--datasets", "synthetic", "--bits", "8", "--seeds", "1"]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error with exit code 2, whether argparse writes it or a command does."""
    try:
        code = main(words)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--device", "cuda"], "--device cuda applies only to methods with a parameter device"),
        (["--backend", "threads"], "no value of backend named 'threads'"),
        (["--scheduler", "tcp://x"], "scheduler applies only to the backends dask, ray, slurm"),
        (["--jobs", "100000000"], "jobs must be from 1 to 1024; got 100000000"),
        (["--threads", "100000000"], "threads must be from 1 to 1024; got 100000000"),
    ],
)
def test_an_option_without_effect_or_sense_is_refused_though_nothing_is_due(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *CELL]) == 0
    assert says in refused(["run", *CELL, *words], capsys)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--jobs", "８"], "argument --jobs: expected a whole number; got '８'"),
        (["--val", "1_0"], "argument --val: expected a whole number; got '1_0'"),
        (["--bits", "１６"], "bits must be a whole number; got '１６'"),
        (["--seeds", "３"], "seeds must be a whole number; got '３'"),
        (["--seeds", "1000000000"], "seeds must be from 1 to 10000"),
        (["--seeds", "1,99999999999999999999"], "seeds must be from 0 to 9223372036854775807"),
        (["--val", "99999999999999999999"], "val must be a number of items"),
        (["--evaluate", "every:²"], "evaluate must be one of last, all, every:K"),
        (["--pool", "separate:²"], "pool must be one of"),
        (["--schedule", "shuffled:99999999999999999999"], "is not one of shuffled:SIZE"),
        (["--directions", "i2t,i2t"], "directions has one twice: i2t, i2t"),
        (["--labelled", "1e400"], "labelled is a share of training items, from 0 to 1; got inf"),
        (["--paired", "nan"], "paired is a share of training items, from 0 to 1; got nan"),
        (["--methods", "lcdh[lambda1=1e400]"], "lambda1 must be float in [0, inf); got '1e400'"),
        (["--methods", "lcdh[lambda1=１]"], "lambda1 must be float in [0, inf); got '１'"),
        (["--methods", "lemon[alpha=1,beta=2,alpha=3]"], "alpha is given twice. List all its values once"),
        (["--datasets", "synthetic[n=200,n=300]"], "n is given twice"),
        (["--datasets", "synthetic[n=100000000000000]"], "Set BENCH_CACHE to a folder with enough space"),
    ],
)
def test_an_odd_value_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(["plan", *CELL, *words], capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["merge", "empty", "--into", "both"],
        *(["export", "--results", "empty", "--to", to, "--out", "out"] for to in ("csv", "trec")),
        ["rescore", "--results", "empty", "--metric", "map@5"],
        ["verify", "empty"],
        ["publish", "empty", "--to", "out.zip"],
        ["report", "--results", "empty"],
        ["table", "--results", "empty"],
    ],
)
def test_nothing_is_no_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "bench run" in refused(words, capsys)
    assert [path.name for path in Path().iterdir()] == ["empty"]


def test_an_option_of_a_report_given_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *CELL, "--results", "runs"])
    words = ["table", "--results", "runs", "--option", "band=true", "--option", "band=false"]
    assert "option band is given twice" in refused(words, capsys)


def test_a_pipe_is_not_replaced_by_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *CELL, "--results", "runs"])
    os.mkfifo("pipe.txt")
    assert "it is a device or a pipe" in refused(["table", "--results", "runs", "--out", "pipe.txt"], capsys)
    assert Path("pipe.txt").is_fifo()


def test_a_draw_with_a_negative_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *CELL, "--results", "runs"])
    words = ["verify", "runs", "--rerun", "1", "--seed", "-1"]
    assert "the seed of the draw is -1; expected 0 or more" in refused(words, capsys)


def test_a_metric_that_is_none_is_refused_and_not_advised(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'16,16' is not NAME" in refused(["table", "--results", "empty", "--metric", "16,16"], capsys)


@pytest.mark.parametrize("text", ["８", "1_0", "²", "٣"])
def test_a_number_has_ascii_digits(text: str) -> None:
    with pytest.raises(ValueError, match="ASCII digits"):
        number(text, int)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
@pytest.mark.parametrize("command", ["run", "plan", "report", "serve", "doctor"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("zero", "it is a device; expected a file"),
        ("pipe", "it is a named pipe; expected a file"),
        ("folder", "it is a folder; expected a file"),
        ("huge", "it is longer than"),
    ],
)
def test_what_is_no_study_file_is_refused_and_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str, says: str
) -> None:
    file = tmp_path / "study.toml"
    if kind == "zero":
        file.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.touch()
        os.truncate(file, 2 << 30)
    assert says in refused([command, str(file)], capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["run", *CELL, "--results", "s3://bucket/x"],
        ["plan", *CELL, "--data-root", "s3://bucket/x"],
        ["tune", "random_projection", "--out", "s3://bucket/x"],
        ["table", "s3://bucket/x"],
        ["table", "empty", "--out", "s3://bucket/x"],
        ["report", "--html", "s3://bucket/x"],
        ["verify", "s3://bucket/x"],
        ["compare", "empty", "s3://bucket/x"],
        ["merge", "empty", "s3://bucket/x", "--into", "both"],
        ["merge", "empty", "--into", "s3://bucket/x"],
        ["publish", "empty", "--to", "s3://bucket/x"],
        ["export", "--to", "csv", "--out", "s3://bucket/x"],
        ["status", "--results", "s3://bucket/x"],
        ["serve", "--results", "s3://bucket/x"],
    ],
    ids=" ".join,
)
def test_an_address_is_no_place_on_this_machine(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "s3://bucket/x: is an address; expected a path on this machine" in refused(words, capsys)
    assert [path.name for path in Path().iterdir()] == ["empty"]


@pytest.mark.parametrize("variable", ["BENCH_RESULTS", "BENCH_DATA", "BENCH_CACHE"])
def test_nor_is_one_in_the_environment(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "gs://bucket/x")
    assert "gs://bucket/x: is an address" in refused(["run", *CELL], capsys)
    assert not Path("gs:").exists()


def test_nor_is_one_in_a_study_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("study.toml").write_text('results = "s3://bucket/x"\n')
    assert "results folder s3://bucket/x: is an address" in refused(["run", "study.toml", *CELL], capsys)


def test_a_letter_of_a_drive_is_no_address() -> None:
    assert local("C:/runs", "results folder") == Path("C:/runs")
