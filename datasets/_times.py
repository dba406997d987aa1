"""Time columns of ``files``: variables of the bundle, or columns of a table beside it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.api import DataError, Times, time_column
from bench.datasets import _official
from bench.datasets._mapping import listed
from bench.datasets._reading import AnyVariable, strings

OPTION = "time columns, one value an item: variables or TABLE.csv:COLUMN, with ; between"


@dataclass(frozen=True, slots=True)
class Source:
    """A time column: a variable, or a column of a table with a header."""

    path: Path
    name: str
    variable: AnyVariable | None = None

    def read(self, rows: int) -> Times:
        """The column; DataError unless it has one value for each of so many items."""
        where = f"{self.path}, {self.name}"
        if self.variable is None:
            column = time_column(where, self._cells())
        else:
            stored = self.variable.read()
            column = time_column(
                where, strings(self.variable) if stored.dtype.kind in "UO" else stored.ravel()
            )
        if len(column) != rows:
            raise DataError(
                f"{where}: has {len(column)} values; expected {rows}, one for each item in their order. "
                "Save the rows of the same items."
            )
        return column

    def _cells(self) -> list[str]:
        separator = "\t" if self.path.suffix.lower() == ".tsv" else ","
        lines = [line for line in _official.text(self.path).split("\n") if line.strip()]
        table = csv.DictReader(lines, delimiter=separator)
        if self.name not in (table.fieldnames or ()):
            raise DataError(
                f"{self.path}: has no column {self.name!r} in its first line; found "
                f"{', '.join(table.fieldnames or ())}. Correct the name."
            )
        return [row[self.name] or "" for row in table]


def sources(where: Path, available: Mapping[str, AnyVariable], text: str) -> dict[str, Source]:
    """Where the columns lie that ``text`` names (``year;styles.csv:season``), by the name of the column."""
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        file, colon, name = entry.rpartition(":")
        if colon:
            path = (where if where.is_dir() else where.parent) / Path(file).expanduser()
            if not path.is_file():
                raise DataError(f"times={entry}: no file {path}; expected a table with a header. Correct it.")
            found[name] = Source(path, name)
        elif entry in available:
            variable = available[entry]
            found[entry.rpartition("/")[2]] = Source(variable.path, entry, variable)
        else:
            raise DataError(
                f"times={entry}: no such variable in {where}; found {listed(available)}. Name one of them, "
                "or TABLE.csv:COLUMN."
            )
    return found
