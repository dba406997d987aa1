"""Tables of numbers in .txt, .csv and .tsv, perhaps with a header and columns of names; or lines of text."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import DataError
from bench.datasets import _official
from bench.datasets._reading.variable import Array, Shape, text_array, vectors
from bench.datasets._words import meaning

SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")
_DIGITS = re.compile(r"[\d\s,;]+")
SAMPLE = 1000  # lines that decide whether lines are lists
MOST_DIGITS = 4096  # characters of a line that may list class numbers
SEPARATORS = ("\t", ",", ";", "|")
ITEM = (
    "",
    "id",
    "ids",
    "index",
    "item",
    "image",
    "name",
    "file",
    "filename",
    "path",
)  # heads of such columns


@dataclass(frozen=True, slots=True)
class _Form:
    """How the lines of a table are cut: its separator, header and leading columns to leave out."""

    separator: str | None  # None is white space
    header: tuple[str, ...]
    skipped: int  # leading columns that name the items
    columns: int  # of numbers, or one of text; 0 in a file of text
    kind: Literal["numbers", "text", "lists", "digits"] = "numbers"


def shapes(path: Path) -> dict[str, Shape]:
    lines, form = _parsed(path)
    rows = len(lines) - bool(form.header)
    named: dict[str, Shape] = {path.stem: (rows,) if form.columns < 2 else (rows, form.columns)}
    return named | ({f"{path.stem}_names": (form.columns,)} if form.header and form.columns > 1 else {})


def read(path: Path, name: str) -> Array:
    lines, form = _parsed(path)
    if name != path.stem:
        return text_array(list(form.header), (len(form.header),))
    body = lines[bool(form.header) :]
    if form.kind == "lists":
        return vectors([[int(n) for n in re.findall(r"\d+", line)] for line in body])
    if form.kind == "digits":
        return np.array([[int(digit) for digit in line.strip()] for line in body])
    if form.kind == "text":
        values = [_cut(line, form.separator)[form.skipped] for line in body] if form.columns else body
        return text_array(values, (len(body),))
    return _numbers(path, body, form)


def names(path: Path) -> list[str] | None:
    """The lines of a text, or the column of a table that names its items; None for numbers."""
    lines, form = _parsed(path)
    if not form.columns and form.kind == "text":
        return [line.strip() for line in lines[bool(form.header) :]]
    listed = items(path)
    return None if listed == [str(row) for row in range(len(lines) - 1)] else listed  # the index of pandas


def items(path: Path) -> list[str] | None:
    """The last of the columns that a table begins with and that name or number its items; None without."""
    lines, form = _parsed(path)
    if not form.skipped:
        return None
    return [_cut(line, form.separator)[form.skipped - 1] for line in lines[bool(form.header) :]]


def _numbers(path: Path, body: list[str], form: _Form) -> Array:
    columns = tuple(range(form.skipped, form.skipped + form.columns))
    if re.search("true|false", body[0], re.IGNORECASE):
        body = [re.sub("(?i)true", "1", re.sub("(?i)false", "0", line)) for line in body]
    try:
        table = np.loadtxt(
            body, delimiter=form.separator, comments=None, ndmin=2, usecols=columns, quotechar='"'
        )
    except ValueError as error:
        raise DataError(
            f"{path}: not every line has {form.columns} numbers ({error}); expected a table, or one number "
            "per line. Write lists of classes as 0 and 1, a column for each class."
        ) from error
    return table[:, 0] if form.columns == 1 else table


def _parsed(path: Path) -> tuple[list[str], _Form]:
    """The lines, without comments above a table and empty lines in it, and their form."""
    lines = _official.text(path).removesuffix("\n").split("\n")
    filled = [line for line in lines if line.strip()]
    if len(filled) == 1:
        filled = [filled[0].strip().strip("[]()")]  # a list as Python prints it
    table = list(dropwhile(lambda line: line.startswith("#"), filled))  # as np.savetxt writes a header
    form = _form(table)
    return (table if form.columns or form.kind != "text" else lines), form


def _form(lines: list[str]) -> _Form:
    """Judge a table by its first two lines."""
    first, second = (lines[0], lines[1 if len(lines) > 1 else 0]) if lines else ("", "")
    if (kind := _of_digits(lines)) is not None:
        return _Form(None, (), 0, len(first.strip()) if kind == "digits" else 1, kind)
    separator = next((s for s in SEPARATORS if s in second), None)
    head, cells = _cut(first, separator), _cut(second, separator)
    numeric = [_is_number(cell) for cell in cells]
    leading = max((at for at, number in enumerate(numeric, start=1) if not number), default=0)  # text at last
    if leading and separator is None and not _is_file(cells[0]):
        leading = len(cells)
    ragged = len(head) != len(cells) and not all(map(_is_number, head[leading:]))
    if leading == len(cells) and len(cells) > 1 and not ragged and head[0].lower() in ITEM and separator:
        return _Form(separator, tuple(head[-1:]), len(cells) - 1, 1, "text")  # items and their classes
    if leading == len(cells) or ragged:
        return _Form(None, (first,) if _is_head(first, lines) else (), 0, 0, "text")
    header = () if all(map(_is_number, head[leading:])) else tuple(head)
    if header and not leading and len(cells) > 1 and header[0].lower() in ITEM:
        leading = 1
    return _Form(separator, header[leading:], leading, len(cells) - leading)


def _is_head(first: str, lines: list[str]) -> bool:
    """Whether the first line of a text names what follows, and is not one of several equal lines: cat."""
    return bool(meaning(first).role) and first.strip().isalpha() and first not in lines[1:]


def _of_digits(lines: list[str]) -> Literal["lists", "digits"] | None:
    """Whether lines list class numbers, not equally many, or are rows of 0 and 1 without separators.

    The first lines decide, and only if they do, the others are looked at.
    """
    first = lines[:SAMPLE]
    if not first or len(first[0]) > MOST_DIGITS or not all(map(_DIGITS.fullmatch, first)):
        return None
    if first[0].lstrip(" ").startswith(SEPARATORS):
        return None  # a header of pandas, whose first cell is empty
    if len({len(re.findall(r"\d+", line)) for line in first}) > 1:
        if not all(map(_DIGITS.fullmatch, lines)):
            return None
        items = (re.findall(r"\d+", line) for line in lines)
        return "lists" if all(len(set(one)) == len(one) for one in items) else None  # 0 1 0, 0 1 is no list
    width = len(first[0].strip())
    row = re.compile(f"[01]{{{width}}}")
    if width < 3 or not all(row.fullmatch(line.strip()) for line in first):
        return None
    binary = all(row.fullmatch(line.strip()) for line in lines)
    return "digits" if binary and any(line.startswith("0") for line in lines) else None


def _cut(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _is_file(cell: str) -> bool:
    return "." in cell or "/" in cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.lower() in ("true", "false")
    return True
