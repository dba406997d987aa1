"""Text that users read is plain English: none of the habits below, each with a better way beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bench", "datasets", "docs", "examples", "methods", "reports", "results")
KINDS = ("*.md", "*.py", "*.html", "*.js")
FILES = sorted(
    [*ROOT.glob("*.md"), *(file for d in FOLDERS for kind in KINDS for file in (ROOT / d).rglob(kind))]
)
HABITS = {
    r"\b(is|are|was|were|be|been|not) told\b|\btells\b": "is reported, printed, shown; says; raises",
    r"\bbehind\b": "after, below",
    r"\bone's own\b": "your own, its own",
    r"\bcannot be (asked for|told)\b": "cannot be requested, cannot be distinguished",
    r"\bwhat is done (is|are)\b": "finished cells are skipped, finished cells are kept",
    r"\bin words\b": "spelled out, as text",
    r"\b(is|are|was|not|no|be|written) whole\b(?! number)|\bwhole or\b": "is complete; at once, atomically",
    r"\bwhat (there is|is there|is not there)\b|\b(is|are) there of\b": "what is available, what exists",
    r"\bwhat (makes|came|lacks)\b": "problems that make …, the download, the missing …",
    r"\b(is|are) of `?--\w": "works only with, applies only to",
    r"\bis another here\b": "differs here",
    r"\bhas the same name already\b": "that name belongs to …",
    r"\btakes a free one\b": "picks a free one",
    r"\b(is|are) the words\.": "define the vocabulary",
}
HEADS = {r"What(ever)?\b": "name the thing", r"of\b": "begin with a noun: seed of …, size of …"}


def readable(source: str, suffix: str) -> Iterator[tuple[int, str, bool]]:
    """Line number and text of what users may read; True at the head of a docstring or a help text.

    Of a page that is everything outside fenced blocks; of Python, the first lines of public docstrings
    and every other string, since any may become part of a message.
    """
    if suffix != ".py":
        fenced = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
        prose = fenced.sub(lambda block: "\n" * block[0].count("\n"), source)
        yield from ((number, line, False) for number, line in enumerate(prose.splitlines(), 1))
        return
    heads: set[ast.AST] = set()
    skipped: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            private = not isinstance(node, ast.Module) and node.name.startswith("_")
            (skipped if private else heads).update(ast.iter_child_nodes(node.body[0]))
        elif isinstance(node, ast.Call):
            heads.update(keyword.value for keyword in node.keywords if keyword.arg == "help")
            heads.update(node.args[1:2] if ast.unparse(node.func) == "param" else ())
        elif isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node not in skipped:
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
            yield node.lineno, text.partition("\n")[0] if node in heads else text, node in heads


def habits(source: str, suffix: str) -> list[str]:
    """Every habit found: its line, the text, and a better way."""
    found = []
    for number, text, head in readable(source, suffix):
        hits = [(re.search(habit, text), better) for habit, better in HABITS.items()]
        hits += [(re.match(habit, text), better) for habit, better in HEADS.items() if head]
        found += [f"{number}: {hit[0]!r} in {text[:80]!r}; write: {better}" for hit, better in hits if hit]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_has_no_habit_of_translated_english(file: Path) -> None:
    assert not habits(file.read_text(encoding="utf-8"), file.suffix)


@pytest.mark.parametrize(
    "source",
    [
        '"""What came of a cell."""',
        'raise DataError(f"{name} is told")',
        'parser.add_argument("--seed", help="of the draw")',
        'seed: int = param(1, "of the draw")',
        'def search():\n    """Whatever is asked."""',
    ],
)
def test_a_habit_in_code_is_found(source: str) -> None:
    assert len(habits(source, ".py")) == 1


@pytest.mark.parametrize("source", ['def _f():\n    """What came."""', '"""A seed.\n\nWhat is told."""'])
def test_private_docstrings_and_their_later_lines_are_left_alone(source: str) -> None:
    assert not habits(source, ".py")
