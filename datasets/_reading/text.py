"""Tables of numbers in .txt, .csv and .tsv, perhaps with a header and a column of names; or lines of text."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.api import DataError
from bench.datasets import _official
from bench.datasets._reading.variable import Array, Shape, text_array
from bench.datasets._words import meaning

SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")
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
    columns: int  # of numbers; 0 in a file of text


def shapes(path: Path) -> dict[str, Shape]:
    lines, form = _parsed(path)
    rows = len(lines) - bool(form.header)
    found: dict[str, Shape] = {path.stem: (rows,) if form.columns < 2 else (rows, form.columns)}
    return found | ({f"{path.stem}_names": (form.columns,)} if form.header and form.columns else {})


def read(path: Path, name: str) -> Array:
    lines, form = _parsed(path)
    if name != path.stem:
        return text_array(list(form.header), (len(form.header),))
    if not form.columns:
        body = lines[bool(form.header) :]
        return text_array(body, (len(body),))
    body = lines[1:] if form.header else lines
    width = form.skipped + form.columns
    columns = tuple(range(form.skipped, width))
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
    """The lines, without empty ones in a table, and their form."""
    lines = _official.text(path).removesuffix("\n").split("\n")
    filled = [line for line in lines if line.strip()]
    form = _form(filled)
    return (filled if form.columns else lines), form


def _form(lines: list[str]) -> _Form:
    """Judge a table by its first two lines."""
    first, second = (lines[0], lines[1 if len(lines) > 1 else 0]) if lines else ("", "")
    separator = next((s for s in SEPARATORS if s in second), None)
    head, cells = _cut(first, separator), _cut(second, separator)
    named = bool(cells) and not _is_number(cells[0]) and (separator is not None or _is_file(cells[0]))
    numbers = cells[named:]
    ragged = len(head) != len(cells) and not all(map(_is_number, head[named:]))
    if not numbers or not all(map(_is_number, numbers)) or ragged:
        return _Form(None, (first,) if meaning(first).role else (), 0, 0)
    header = () if all(map(_is_number, head[named:])) else tuple(head)
    if header and not named and len(cells) > 1 and header[0].lower() in ITEM:
        named = True
    return _Form(separator, header[named:], int(named), len(cells) - named)


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
        return False
    return True
