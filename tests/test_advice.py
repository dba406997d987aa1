"""Advice works: every command and option that a message or a help text shows is one that bench has."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import _parser, main

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(file for d in ("bench", "datasets", "methods", "reports") for file in (ROOT / d).rglob("*.py"))
COMMAND = re.compile(r"`bench ([^`]*)`|(?:Run|run|next|ready): bench ([^;.\n]*)")


def texts() -> Iterator[str]:
    """Every string of the sources; a value that is filled in shows as X."""
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
                yield node.value


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its parser, those inside others too."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part, one in action.choices.items():
                yield from parsers(one, f"{name} {part}".strip())


PARSERS = dict(parsers(_parser()))
SHOWN = sorted({" ".join((m[1] or m[2]).split()) for text in texts() for m in COMMAND.finditer(text)})
OPTIONS = {
    option for parser in PARSERS.values() for action in parser._actions for option in action.option_strings
}


@pytest.mark.parametrize("command", SHOWN)
def test_a_command_that_is_shown_can_be_given(command: str) -> None:
    words = shlex.split(command.replace("COMMAND ", "run "))
    if " ".join(words) in PARSERS:  # the name alone
        return
    try:
        _parser().parse_args(words)
    except SystemExit as end:
        assert end.code == 0, command


def test_an_option_that_a_message_advises_is_one_of_bench() -> None:
    advised = {
        o
        for text in texts()
        for o in re.findall(r"(?:[Gg]ive|without|Change|Check|or) (--[a-z][a-z-]*)", text)
    }
    assert len(advised) > 5
    assert advised <= OPTIONS


@pytest.mark.parametrize(
    "words", [["--metric", "16,16"], ["--option", "metric=16,16"], ["--report", "pr_rank", "--metric", "x@"]]
)
def test_no_command_is_advised_that_would_be_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = ["--methods", "random_projection", "--datasets", "synthetic", "--bits", "8", "--seeds", "1"]
    main(["run", *cell, "--results", "runs"])
    assert main(["table", "--results", "runs", *words]) == 2
    assert "rescore" not in capsys.readouterr().err
