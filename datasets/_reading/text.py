"""Tables of numbers in .txt, .csv and .tsv, perhaps with a header and columns of names; or lines of text."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.api import DataError
from bench.datasets._reading.columns import groups
from bench.datasets._reading.form import Form, cut, parsed
from bench.datasets._reading.strangers import TEXTS
from bench.datasets._reading.variable import Array, Shape, text_array, vectors

SUFFIXES = TEXTS


def shapes(path: Path) -> dict[str, Shape]:
    lines, form = parsed(path)
    rows = len(lines) - bool(form.header)
    if form.kind == "views":
        return {
            name: (rows, *[len(places)][: len(places) - 1]) for name, places in groups(form.header).items()
        }
    named: dict[str, Shape] = {path.stem: (rows,) if form.columns < 2 else (rows, form.columns)}
    return named | ({f"{path.stem}_names": (form.columns,)} if form.header and form.columns > 1 else {})


def read(path: Path, name: str) -> Array:
    lines, form = parsed(path)
    body = lines[bool(form.header) :]
    if form.kind == "views":
        return _column(path, body, form, groups(form.header)[name])
    if name != path.stem:
        return text_array(list(form.header), (len(form.header),))
    if form.kind == "lists":
        return vectors([[int(n) for n in re.findall(r"\d+", line)] for line in body])
    if form.kind == "digits":
        return np.array([[int(digit) for digit in line.strip()] for line in body])
    if form.kind == "text":
        values = [cut(line, form.separator)[form.skipped] for line in body] if form.columns else _lines(body)
        return text_array(values, (len(body),))
    return _numbers(path, body, form, range(form.skipped, form.skipped + form.columns))


def names(path: Path) -> list[str] | None:
    """The lines of a text, or the column of a table that names its items; None for numbers."""
    lines, form = parsed(path)
    if not form.columns and form.kind == "text":
        return [line.strip() for line in lines[bool(form.header) :]]
    listed = items(path)
    return None if listed == [str(row) for row in range(len(lines) - 1)] else listed  # the index of pandas


def items(path: Path) -> list[str] | None:
    """The last of the columns that a table begins with and that name or number its items; None without."""
    lines, form = parsed(path)
    if not form.skipped:
        return None
    body = lines[bool(form.header) :]
    if form.separator is None or any('"' in line[:99] for line in body):
        return [cut(line, form.separator)[form.skipped - 1] for line in body]
    return [line.split(form.separator, form.skipped)[form.skipped - 1].strip() for line in body]


def _lines(body: list[str]) -> list[str]:
    """Lines of text, without the quotes that a table of one column has."""
    quoted = all(len(line) > 1 and line[0] == line[-1] == '"' for line in body)
    return [next(csv.reader([line]))[0] for line in body] if quoted and body else body


def _column(path: Path, body: list[str], form: Form, places: list[int]) -> Array:
    """Some columns as a matrix of numbers; or one of text."""
    cells = cut(body[0], form.separator) if body else []
    if len(places) == 1 and not re.fullmatch(r"[-+0-9.eE]+", cells[places[0]]):
        return text_array([cut(line, form.separator)[places[0]] for line in body], (len(body),))
    return _numbers(path, body, form, places)


def _numbers(path: Path, body: list[str], form: Form, places: Sequence[int]) -> Array:
    if re.search("true|false", body[0], re.IGNORECASE):
        body = [re.sub("(?i)true", "1", re.sub("(?i)false", "0", line)) for line in body]
    if form.separator in ("\t", ";") and "," in body[0]:
        body = [line.replace(",", ".") for line in body]  # decimal commas
    try:
        table = np.loadtxt(
            body, delimiter=form.separator, comments=None, ndmin=2, usecols=tuple(places), quotechar='"'
        )
    except ValueError as error:
        raise DataError(
            f"{path}: not every line has {len(places)} numbers ({error}); expected a table, or one number "
            "per line. Write lists of classes as 0 and 1, a column for each class."
        ) from error
    return table[:, 0] if len(places) == 1 else table
