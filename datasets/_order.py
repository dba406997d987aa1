"""Refuses files that name the same items in different orders: rows are paired by their place alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.api import DataError
from bench.datasets._mapping import Mapped, once
from bench.datasets._reading import AnyVariable, item_column, item_names
from bench.datasets._words import names_items, stem

Items = list[str]


def check(roles: Mapping[str, Mapped], available: Mapping[str, AnyVariable], apart: frozenset[str]) -> None:
    """Compare the items of the files that have a role; ``apart`` are roles without a row for each item."""
    rows = {m.variable.path: max(m.shape, default=0) for role, m in roles.items() if role not in apart}
    if len(rows) < 2:
        return
    named = _named(available, rows)
    for path in sorted(rows.keys() & named.keys()):
        items = named[path]
        others = {other: x for other, x in named.items() if other != path and set(x) == set(items)}
        if others and items not in others.values():
            other, theirs = next(iter(others.items()))
            row = next(row for row, pair in enumerate(zip(items, theirs, strict=True)) if pair[0] != pair[1])
            raise DataError(
                f"{path}: lists the items in another order than {other.name} (row {row}: {items[row]} and "
                f"{theirs[row]}); expected one order, since rows belong together by their place. Sort both "
                "by that column."
            )
        if not others and _are_shuffled_numbers(items):
            raise DataError(
                f"{path}: numbers its rows {', '.join(items[:4])}, ..., and the other files have no such "
                "numbers; expected rows in the order of the other arrays. Sort it by that column; or, if its "
                "rows follow the other arrays already, leave the column out."
            )


def _named(available: Mapping[str, AnyVariable], rows: Mapping[Path, int]) -> dict[Path, Items]:
    """The items of each file that names them, one for each row and no two alike."""
    named: dict[Path, Items] = {}
    for name, variable in once(available):
        path = variable.path
        items = item_column(variable)
        if items is None and names_items(name) and max(variable.shape, default=0) in rows.values():
            items = item_names(variable)
            numbers = None if items is not None else variable.read().ravel()
            if numbers is not None and numbers.dtype.kind in "iu":
                items = [str(number) for number in numbers.tolist()]
        if items is not None and len(set(items)) == len(items) in rows.values():
            named.setdefault(path, [stem(item) for item in items])
    return named


def _are_shuffled_numbers(items: Items) -> bool:
    """Whether these are all numbers from 0 or from 1, in another order."""
    if not all(map(str.isdigit, items)):
        return False
    numbers = list(map(int, items))
    low, high = min(numbers), max(numbers)
    return low in (0, 1) and high - low + 1 == len(numbers) and numbers != sorted(numbers)
