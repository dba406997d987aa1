"""Time columns of a dataset: when each of its items came, as numbers or as text that has an order in time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.items import Rows
from bench.errors import DataError

Times = npt.NDArray[Any]  # (n,): float64, NaN where unknown; or text, "" where unknown

SEASONS = ("spring", "summer", "fall", "winter")  # autumn is another name of fall
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"\d{4}-?(Q[1-4]|W\d\d|\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?)?)", re.IGNORECASE)
_UNKNOWN = ("", "na", "nan", "none", "nat", "null")


def time_column(where: str, values: npt.NDArray[Any] | list[str]) -> Times:
    """A time column (n,) in the form that a dataset keeps; ``where`` names it in messages.

    Takes numbers, numpy dates, and text of numbers, ISO dates (2011-05-31, 2011-05, 2011-Q2), seasons or
    months. Raises DataError for other text.
    """
    given = np.asarray(values)
    if given.dtype.kind in "biuf":
        return np.where(np.isfinite(given), given, np.nan).astype(np.float64)
    text = np.char.strip(given.astype(str))
    known = np.array([value.lower() not in _UNKNOWN for value in text.tolist()], dtype=bool)
    try:
        numbers = np.full(len(text), np.nan)
        numbers[known] = text[known].astype(np.float64)
        return numbers
    except ValueError:
        pass
    distinct = {str(value) for value in text[known]}
    odd = sorted(value for value in distinct if not _DATE.fullmatch(value))
    if odd and _places(distinct) is None:
        raise DataError(
            f"{where}: has {odd[0][:40]!r}, whose place in time is unclear; expected numbers, dates such as "
            "2011-05-31, seasons or months. Convert it."
        )
    return np.where(known, text, "")


def order(times: Times) -> tuple[Rows, list[str]]:
    """The place of every item's value among the distinct ones (n,), -1 where unknown; and their names.

    The earliest value has place 0.
    """
    if times.dtype.kind == "f":
        values, places = np.unique(times, return_inverse=True)
        known = int(np.isfinite(values).sum())
        return np.where(np.isnan(times), -1, places), [f"{value:.15g}" for value in values[:known]]
    values, places = np.unique(times, return_inverse=True)
    names = [str(value) for value in values]
    calendar = _places({name for name in names if name}) or {}
    ranked = sorted(filter(None, names), key=lambda name: (calendar.get(name, 0), name))
    rank = {"": -1, **{name: place for place, name in enumerate(ranked)}}
    return np.array([rank[name] for name in names], dtype=np.intp)[places], ranked


def _places(names: set[str]) -> Mapping[str, int] | None:
    """The places of seasons or of months in the year; None where the names are neither."""
    seasons = {name: name.lower().replace("autumn", "fall") for name in names}
    months = {name: name.lower()[:3] for name in names if name.isalpha()}
    for year, short in ((SEASONS, seasons), (MONTHS, months)):
        if short.keys() == names and set(short.values()) <= set(year):
            return {name: year.index(word) for name, word in short.items()}
    return None
