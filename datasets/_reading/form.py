"""Judges how the lines of a text are cut: a table with its separator and header, lists, or plain lines.

Trap: pandas writes the numbers of rows and of columns as if they were data.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Literal

from bench.datasets import _official
from bench.datasets._reading import columns
from bench.datasets._words import MODALITIES, meaning

Kind = Literal["numbers", "text", "lists", "digits", "views"]
SAMPLE = 1000  # lines that decide whether lines are lists
MOST_DIGITS = 4096  # characters of a line that may list class numbers
COMMENTS = ("#", "sep=")  # as np.savetxt writes a header, and Excel the separator
SEPARATORS = ("\t", ",", ";", "|")
ITEM = {"id", "ids", "index", "idx", "item", "image", "name", "file", "filename", "path", "key", "no"}
_CLASSES = {*MODALITIES["labels"], "class"}
_DIGITS = re.compile(r"[\d\s,;]+")
_DECIMAL = re.compile(r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Form:
    """How the lines of a table are cut: its separator, header and leading columns to leave out."""

    separator: str | None  # None is white space
    header: tuple[str, ...]
    skipped: int  # leading columns that name the items
    columns: int  # of numbers, or one of text; 0 in a file of text
    kind: Kind = "numbers"  # views: the header names columns of images and of texts


def parsed(path: Path) -> tuple[list[str], Form]:
    """The lines, without comments above a table and empty lines in it, and their form."""
    lines = _official.text(path).removesuffix("\n").split("\n")
    filled = [line for line in lines if line.strip()]
    if len(filled) == 1:
        filled = [filled[0].strip().strip("[]()")]  # a list as Python prints it
    if filled and all(line.endswith(SEPARATORS) for line in filled):
        filled = [line[:-1] for line in filled]
    table = list(dropwhile(lambda line: line.startswith(COMMENTS), filled))
    form = _form(table)
    if form.kind == "lists":
        return "\n".join(lines).rstrip("\n").split("\n"), form  # an empty line is an item without a class
    return (table if form.columns or form.kind != "text" else lines), form


def cut(line: str, separator: str | None) -> list[str]:
    """The cells of a line; a decimal comma becomes a point where commas do not separate."""
    if separator is None:
        return line.split()
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    if separator in ("\t", ";") and "," in line:
        cells = [cell.replace(",", ".") if _DECIMAL.fullmatch(cell) else cell for cell in cells]
    return cells


def _form(lines: list[str]) -> Form:
    """Judge a table by its first two lines."""
    first, second = (lines[0], lines[1 if len(lines) > 1 else 0]) if lines else ("", "")
    if (kind := _of_digits(lines)) is not None:
        return Form(None, (), 0, len(first.strip()) if kind == "digits" else 1, kind)
    separator = _separator(second)
    head, cells = cut(first, separator), cut(second, separator)
    if len(head) == len(cells) and columns.are_views(head):
        return Form(separator, tuple(head), 0, len(head), "views")
    numeric = [_is_number(cell) for cell in cells]
    leading = max((at for at, number in enumerate(numeric, start=1) if not number), default=0)  # text at last
    if leading and separator is None and not _is_file(cells[0]):
        leading = len(cells)
    ragged = len(head) != len(cells) and not all(map(_is_number, head[leading:]))
    named = len(cells) > 1 and not ragged and _heads_items(head[0]) and separator is not None
    if named and (leading == len(cells) or (len(cells) == 2 and _holds_text(lines[1:], separator))):
        return Form(separator, tuple(head[-1:]), len(cells) - 1, 1, "text")  # items and their classes
    if leading == len(cells) or ragged:
        return Form(None, (first,) if _is_head(first, lines) else (), 0, 0, "text")
    return _of_numbers(lines, separator, head, len(cells), leading)


def _of_numbers(lines: list[str], separator: str | None, head: list[str], width: int, leading: int) -> Form:
    numbered = leading > 0 and all(map(_heads_items, head[:leading]))
    data = all(map(_is_number, head[leading:])) and not numbered and not _counts_from_0(head[leading:])
    header = () if data else tuple(head)
    if not leading and width > 1:
        body = lines[bool(header) :]
        named = bool(header) and _heads_items(header[0]) and _may_number(header[0], body, separator)
        leading = int(named or _numbers_rows(body, separator))
    return Form(separator, header[leading:], leading, width - leading)


def _separator(line: str) -> str | None:
    if ";" in line and "," in line and all(_DECIMAL.fullmatch(cell.strip()) for cell in line.split(";")):
        return ";"  # 0,5;0,3
    return next((separator for separator in SEPARATORS if separator in line), None)


def _heads_items(head: str) -> bool:
    """Whether a column of this name names or numbers the items: id, image_id, Unnamed: 0, or no name."""
    words = re.findall("[a-z]+", head.lower())
    if not head.strip() or words[:1] == ["unnamed"]:
        return True
    return bool(words) and words[-1] in ITEM and not _CLASSES & {*words} and not re.search(r"\d", head)


def _may_number(head: str, lines: list[str], separator: str | None) -> bool:
    """Whether a column of this head numbers items: a word, such as name, may head a bag of words as well."""
    if not head.strip() or re.findall("[a-z]+", head.lower())[-1] in ("id", "ids"):
        return True
    firsts = [cut(line[:99], separator)[0] for line in lines]
    return len(set(firsts)) == len(firsts) and all(map(str.isdigit, firsts))


def _counts_from_0(head: Sequence[str]) -> bool:
    """Whether a line numbers the columns, as pandas does; 0 and 1 alone may be values."""
    return len(head) > 2 and list(head) == [str(column) for column in range(len(head))]


def _numbers_rows(lines: list[str], separator: str | None) -> bool:
    """Whether the first cells count the lines, from 0 or 1, or are distinct integers before fractions."""
    if len(lines) < 3 or not cut(lines[0][:99], separator)[0].isdigit():
        return False
    starts = [cut(line[:99], separator)[:2] for line in lines]
    firsts = [cells[0] for cells in starts]
    first = int(firsts[0])
    if first in (0, 1) and firsts == [str(row) for row in range(first, first + len(firsts))]:
        return True
    fractions = all(one.isdigit() and "." in cells[-1] for one, cells in zip(firsts, starts, strict=True))
    return fractions and len(set(firsts)) == len(firsts)


def _holds_text(lines: list[str], separator: str | None) -> bool:
    """Whether some last cell is no number, as in a column of lists: 3 and then 0 2."""
    return not all(_is_number(cell) for line in lines[:SAMPLE] for cell in cut(line, separator)[-1:])


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
    if first[0].startswith(SEPARATORS):
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


def _is_file(cell: str) -> bool:
    return "." in cell or "/" in cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.lower() in ("true", "false")
    return True
