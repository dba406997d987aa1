"""What is printed steers no terminal, fits every encoding, and ends no work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import printing
from bench.printing import Steering, shown
from bench.reporting.tables import Block, Column, Entry, Table, csv_of

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
HOME = str(Path(bench.__file__).parents[1])
ESCAPE, TURNED = "\x1b[31m", "\u202egnp"


RUN = ["run", "--methods", "random_projection", "--datasets", "synthetic", "--bits", "8", "--seeds", "1"]


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": HOME, **options.pop("env", {})}
    line = [sys.executable, "-P", "-m", "bench.cli", *words]
    return subprocess.run(line, env=env, check=False, **{"stderr": subprocess.PIPE, **options})


def closed_pipe() -> int:
    """The end to write to of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def printed(text: str, encoding: str) -> bytes:
    """What a stream of this encoding receives."""
    content = io.BytesIO()
    with io.TextIOWrapper(content, encoding) as stream:
        door = printing.Door(stream)
        door.write(text)
        door.flush()
        return content.getvalue()


@pytest.mark.parametrize(
    ("text", "as_text"),
    [
        (ESCAPE, r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("done\rbench: fine", r"done\rbench: fine"),
        (TURNED, r"\u202egnp"),
        ("\u2066\u200f", r"\u2066\u200f"),
        ("\udcff", r"\udcff"),
        ("I→T\tλ\n", "I→T\tλ\n"),
    ],
)
def test_escapes_and_marks_of_direction_are_printed_as_text(text: str, as_text: str) -> None:
    assert printed(text, "utf-8").decode() == as_text


def test_our_own_escapes_pass() -> None:
    assert printed(Steering(ESCAPE), "utf-8") == ESCAPE.encode()


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "latin-1", "ascii"])
def test_characters_that_an_encoding_lacks_are_replaced_by_as_many(encoding: str) -> None:
    assert len(printed("I→T ─ ⋆ 漢", encoding)) == len("I→T ─ ⋆ 漢")


def test_an_arrow_stays_recognizable() -> None:
    assert printed("I→T", "ascii") == b"I>T"


@pytest.mark.parametrize("form", ["to_text", "to_markdown", "to_csv", "to_latex", "to_html"])
def test_a_table_has_no_escapes_in_any_form(form: str) -> None:
    name = f"{ESCAPE}{TURNED}"
    block = Block(caption=(name,), columns=(Column(name),), rows=((Entry(name),),), notes=(name,))
    text = getattr(Table(title=name, blocks=(block,), data=[{name: name}]), form)()
    assert shown(text) == text
    assert "x1b" in text


@pytest.mark.parametrize(
    ("text", "as_text"),
    [
        ("\u202egnp", r"\u202egnp"),
        ("\x1b[31m", r"\u001b[31m"),
        (r"plain \u202e", r"plain \u202e"),
        ("😀 I→T \\", "😀 I→T \\"),
    ],
)
def test_a_page_shows_marks_of_direction_as_text(text: str, as_text: str) -> None:
    assert json.loads(printing.json_text({text: [text]})) == {as_text: [as_text]}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("-0.5", "-0.5"),
        (-0.5, "-0.5"),
        ("a-b", "a-b"),
    ],
)
def test_a_cell_of_csv_is_no_formula(value: object, cell: str) -> None:
    assert csv_of([{"name": value}]) == f"name\n{cell}"


def test_a_name_of_a_column_is_no_formula() -> None:
    assert csv_of([{"=1": 0}]) == "'=1\n0"


def test_a_reader_that_closes_the_pipe_is_no_error() -> None:
    writer = closed_pipe()
    done = command("list", "methods", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", [("list", "methods"), ("--help",)])
def test_a_full_device_is_named_with_exit_code_1(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        b"bench: the output is incomplete: No space left on device. Write it to another place."
    ]


@pytest.mark.parametrize(("target", "code"), [("/dev/full", 1), ("closed", 0)])
def test_a_run_without_an_output_stores_its_cells(tmp_path: Path, target: str, code: int) -> None:
    writer = closed_pipe() if target == "closed" else os.open(target, os.O_WRONLY)
    done = command(*RUN, cwd=tmp_path, stdout=writer)
    os.close(writer)
    assert done.returncode == code
    assert len(list((tmp_path / "results" / "runs").glob("*.json"))) == 1


def test_progress_on_a_closed_pipe_stops_no_run(tmp_path: Path) -> None:
    writer = closed_pipe()
    done = command(*RUN, cwd=tmp_path, stdout=writer, stderr=writer)
    os.close(writer)
    assert done.returncode == 0
    assert len(list((tmp_path / "results" / "runs").glob("*.json"))) == 1


def test_a_table_is_printed_in_the_code_page_of_windows(tmp_path: Path) -> None:
    done = command(*RUN, env={"PYTHONIOENCODING": "cp1252"}, cwd=tmp_path, stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert b"I>T" in done.stdout


def test_a_traceback_shows_escapes_as_text(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from bench.api import Method\nraise ValueError('red \\x1b[31m')\nclass Bad(Method): ..."
    )
    done = command("run", "--debug", "--plugin", "bad.py", "--methods", "bad", cwd=tmp_path)
    assert b"Traceback" in done.stderr
    assert rb"red \x1b[31m" in done.stderr
    assert b"\x1b" not in done.stderr
