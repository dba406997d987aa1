"""Chooses the queries among rows: by an index, a mask, names, a column, their place, or at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from bench.api import RANDOM_QUERIES, DataError, Rows
from bench.datasets._mapping import Mapped
from bench.datasets._reading import AnyVariable, Array, item_names
from bench.datasets._words import PARTS, meaning, names_ids, stem

SplitKind = Literal["auto", "random", "first", "last"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of both splits, and a note on where they come from."""

    train: Rows
    query: Rows
    note: str


def choose(
    roles: Mapping[str, Mapped],
    available: Mapping[str, AnyVariable],
    rows: int,
    *,
    split: SplitKind,
    queries: int,
    seed: int,
) -> Chosen:
    """The rows of train and query; ``split`` other than ``auto`` ignores what the data say."""
    everything = np.arange(rows, dtype=np.intp)
    if split == "auto" and "split" in roles:
        return _by_column(roles["split"], rows)
    if split == "auto" and "query_index" in roles:
        return _by_index(roles, available, rows)
    if queries >= rows:
        raise DataError(
            f"queries={queries} of the {rows} rows of {roles['image'].variable}; expected fewer, since the "
            "rest is the database. Lower queries."
        )
    if split in ("first", "last"):
        query = everything[:queries] if split == "first" else everything[rows - queries :]
        note = f"queries: the {split} {queries} of {rows} rows, by split={split}"
    else:
        query = np.sort(np.random.default_rng(seed).choice(rows, queries, replace=False))
        note = random_note(queries, rows, seed)
    return Chosen(np.setdiff1d(everything, query), query, note)


def random_note(queries: int, rows: int, seed: int) -> str:
    """The note that every record of a run repeats."""
    return f"{RANDOM_QUERIES}: {queries} of {rows} rows, seed {seed}; the data define none"


def as_index(mapped: Mapped, rows: int, available: Mapping[str, AnyVariable], first: int) -> Rows:
    """Rows counted from 0, from numbers, a mask or names of items; :class:`DataError` if one is unknown."""
    listed = item_names(mapped.variable)
    if listed is not None and not all(name.isdigit() for name in listed):
        return _by_name(mapped, listed, rows, available)
    stored = mapped.read() if listed is None else np.array(listed, dtype=np.int64)
    values = stored.ravel()
    if stored.size != max(stored.shape, default=0) and stored.size:
        raise DataError(
            f"{mapped.where}: has shape {stored.shape}; expected one list of rows, or a mask of {rows} rows. "
            "If it holds several splits, save one of them as query_index.npy, counted from 0."
        )
    if _is_mask(values, rows):
        return np.flatnonzero(values)
    if values.dtype == np.bool_:
        raise DataError(
            f"{mapped.where}: is a boolean mask of {len(values)} rows; expected {rows}, one for each item. "
            "Map another variable."
        )
    by_number = _by_number(mapped, values, rows, available)
    if by_number is not None:
        return by_number
    return _numbered(mapped, values, rows, first if mapped.counts_from else 0)


def first_row(indexes: list[Mapped], rows: int) -> int:
    """The number of the first row in MATLAB's files: 1, unless an index there holds a 0."""
    stored = [mapped.read().ravel() for mapped in indexes if mapped.counts_from]
    numbers = [x for x in stored if x.dtype.kind in "iuf" and not _is_mask(x, rows)]
    return 0 if any((x == 0).any() for x in numbers) else 1


def _by_index(roles: Mapping[str, Mapped], available: Mapping[str, AnyVariable], rows: int) -> Chosen:
    indexes = [roles[role] for role in ("query_index", "database_index") if role in roles]
    first = first_row(indexes, rows)
    parts = [as_index(mapped, rows, available, first) for mapped in indexes]
    query = parts[0]
    source = f"{len(query)} rows by index ({indexes[0].variable.name})"
    if len(parts) > 1:
        train = parts[1]
        _check_apart(indexes, query, train, first)
        others = rows - len(np.union1d(query, train))
        rest = f"; in neither: {others} rows" if others else ""
        return Chosen(
            train,
            query,
            f"queries: {source}; train: {len(train)} rows by index ({indexes[1].variable.name}){rest}",
        )
    train = np.setdiff1d(np.arange(rows, dtype=np.intp), query)
    return Chosen(train, query, f"queries: {source}; train: the other {len(train)}")


def _by_column(mapped: Mapped, rows: int) -> Chosen:
    """A column with the part of each item: train, test, query, database, val."""
    parts = {word: part for part, words in PARTS.items() for word in words}
    if mapped.variable.name.lower().endswith("set"):
        parts |= {"1": "train", "2": "val", "3": "query"}  # as MatConvNet numbers them
    values = [str(value).removesuffix(".0").strip().lower() for value in mapped.read().ravel()]
    strange = sorted({value for value in values if value not in parts})
    if strange or len(values) != rows:
        fact = f"says {strange[0]!r}" if strange else f"has {len(values)} entries"
        raise DataError(
            f"{mapped.where}: {fact}; expected train, test, query, database or val for each of {rows} items. "
            "Save the queries' rows as query_index.npy, or ignore it: split=random."
        )
    part = np.array([parts[value] for value in values])
    query, train = np.flatnonzero(part == "query"), np.flatnonzero(np.isin(part, ("train", "database")))
    if not len(query) or not len(train):
        raise DataError(
            f"{mapped.where}: names {', '.join(sorted(set(values)))}; expected train and test (or query and "
            "database). Save the queries' rows as query_index.npy, or ignore it: split=random."
        )
    note = f"queries: {len(query)} rows by {mapped.variable.name}; train: {len(train)}"
    left = rows - len(query) - len(train)
    return Chosen(train, query, note + (f"; left out: {left} rows of val" if left else ""))


def _is_mask(values: Array, rows: int) -> bool:
    """Whether a vector holds 0 or 1 for every row: as row numbers, nearly all would be repeated."""
    return len(values) == rows > 2 and bool(np.isin(values, (0, 1)).all())


def _numbered(mapped: Mapped, values: Array, rows: int, first: int) -> Rows:
    index: Rows = np.nan_to_num(values, nan=-1).astype(np.intp) - first
    repeated = len(index) - len(np.unique(index))
    if repeated:
        raise DataError(
            f"{mapped.where}: repeats {repeated} of {len(index)} rows; expected each once. Save np.unique(x)."
        )
    if not len(index) or (index != values - first).any() or index.min() < 0 or index.max() >= rows:
        span = f"runs from {values.min()} to {values.max()}" if len(index) else "is empty"
        raise DataError(
            f"{mapped.where}: {span}; expected whole row numbers from {first} to {rows - 1 + first}, or a "
            f"mask of {rows} rows. Count from {first} (MATLAB files from 1, NumPy files from 0)."
        )
    return index


def _check_apart(indexes: list[Mapped], query: Rows, train: Rows, first: int) -> None:
    """Refuse rows that are in both indexes: a query would find itself."""
    shared = np.intersect1d(query, train)
    asked, stored = indexes
    if len(shared) == len(query) == len(train):
        raise DataError(
            f"{stored.where}: has the same {len(shared)} rows as {asked.variable.name}, so that each query "
            f"would find itself; expected other rows. Take some as queries, and the rest as the database: "
            f"split=random,queries={max(1, min(2000, len(shared) // 10))}."
        )
    if len(shared):
        raise DataError(
            f"{stored.where}: has {len(shared)} rows of {asked.variable.name} too (first: row "
            f"{shared[0] + first}); expected none, since a query finds itself. Save it without them: "
            f"np.setdiff1d({stored.variable.name}, {asked.variable.name}); or remove it: the rest is then "
            "the database."
        )


def _by_name(mapped: Mapped, listed: list[str], rows: int, available: Mapping[str, AnyVariable]) -> Rows:
    """The rows of items that a list names, by another variable that names all items; suffixes may lack."""
    for key in (_name, stem):
        wanted = [key(name) for name in listed]
        for variable in {id(v): v for v in available.values()}.values():
            if variable is mapped.variable or len(variable.shape) > 2 or rows not in variable.shape:
                continue
            names = item_names(variable)
            if names is None or len(names) != rows:
                continue
            place = {key(name): row for row, name in enumerate(names)}
            if all(name in place for name in wanted):
                return np.array([place[name] for name in wanted], dtype=np.intp)
    raise DataError(
        f"{mapped.where}: lists names (first: {_name(listed[0])!r}), and no other variable has all of them "
        f"among names of the {rows} items; expected row numbers. Put names.txt beside it, a line for each "
        "item."
    )


def _by_number(mapped: Mapped, values: Array, rows: int, available: Mapping[str, AnyVariable]) -> Rows | None:
    """The rows of items whose own numbers are listed, as test_ids does beside ids; None for row numbers."""
    if not meaning(mapped.variable.name).rank[0]:
        return None  # an index, such as test_idx
    for name, variable in available.items():
        if not names_ids(name) or np.prod(variable.shape) != rows or max(variable.shape) != rows:
            continue
        ids = variable.read().ravel()
        if ids.dtype.kind in "iuf" and len(np.unique(ids)) == rows and np.isin(values, ids).all():
            order = np.argsort(ids)
            return order[np.searchsorted(ids, values, sorter=order)]
    return None


def _name(path: str) -> str:
    return PurePosixPath(path.strip().replace("\\", "/")).name
