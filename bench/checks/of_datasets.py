"""The contract of a dataset, one function per demand; each raises if the dataset breaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.trial import arrays, equal
from bench.contract.dataset import Dataset, DatasetSource
from bench.contract.items import MODALITIES, Split
from bench.errors import ContractError
from bench.plugins import registry
from bench.records import Schedule


class Source:
    """A dataset class with options and the folder of its files, loaded once."""

    def __init__(self, cls: type[DatasetSource], options: Mapping[str, Any], root: Path) -> None:
        self.cls, self.options, self.root = cls, options, root

    @cached_property
    def dataset(self) -> Dataset:
        return self.load()

    @property
    def parts(self) -> list[tuple[str, Split]]:
        return [
            (f"{self.cls.__name__}: train", self.dataset.train),
            (f"{self.cls.__name__}: query", self.dataset.query),
        ]

    def load(self) -> Dataset:
        return self.cls(**self.options).load(self.root)


def it_has_a_docstring_and_a_licence(source: Source) -> None:
    name = source.cls.__name__
    _require(bool(registry.docstring(source.cls)), f"{name} has no docstring. Say what the dataset is.")
    _require(bool(source.cls.licence), f"{name}.licence is empty. Name the terms of use.")


def its_schedule_is_one(source: Source) -> None:
    Schedule.parse(source.cls.schedule)


def it_loads(source: Source) -> None:
    name = source.cls.__name__
    found = type(source.dataset).__name__
    _require(isinstance(source.dataset, Dataset), f"{name}.load() returned a {found}; expected a Dataset.")
    for where, split in source.parts:
        _require(len(split) > 0, f"{where} has no items.")


def rows_are_aligned(source: Source) -> None:
    for where, split in source.parts:
        rows = sorted({len(a) for a in arrays(split)})
        _require(len(rows) == 1, f"{where} has arrays of {rows} rows; expected one row per item in each.")


def features_are_finite_float32(source: Source) -> None:
    for where, split in source.parts:
        for m in MODALITIES:
            batch = split.batch(m)
            for name, x in {"features": batch.features, **batch.views}.items():
                _require(
                    x.dtype == np.float32 and x.ndim == 2,
                    f"{where}.{m}, {name}, is {x.dtype} {x.shape}; expected float32 (n, d).",
                )
                _require(bool(np.isfinite(x).all()), f"{where}.{m}, {name}, holds NaN or infinity.")


def train_and_query_have_the_same_columns(source: Source) -> None:
    train, query = source.dataset.train, source.dataset.query
    for m in MODALITIES:
        widths = [{"features": s.batch(m).features.shape[1]} for s in (train, query)]
        for width, split in zip(widths, (train, query), strict=True):
            width.update({name: view.shape[1] for name, view in split.batch(m).views.items()})
        _require(
            widths[0] == widths[1],
            f"{source.cls.__name__}: {m} has the columns {widths[0]} in train and {widths[1]} in query.",
        )


def labels_are_zero_or_one(source: Source) -> None:
    for where, split in source.parts:
        labels = split.labels
        if labels is None:
            continue
        good = labels.dtype == np.uint8 and labels.ndim == 2 and bool((labels <= 1).all())
        _require(
            good, f"{where}.labels is {labels.dtype} {labels.shape}; expected uint8 (n, classes) of 0 and 1."
        )
        named = len(source.dataset.classes)
        _require(
            named in (0, labels.shape[1]),
            f"{where}.labels has {labels.shape[1]} columns and there are {named} names of classes.",
        )


def ids_are_unique(source: Source) -> None:
    ids = np.concatenate([source.dataset.train.ids, source.dataset.query.ids])
    twice = len(ids) - len(np.unique(ids))
    _require(twice == 0, f"{source.cls.__name__}: {twice} ids stand for two items of train and query.")


def it_loads_the_same_arrays_again(source: Source) -> None:
    again = source.load()
    first, second = (arrays(d.train) + arrays(d.query) for d in (source.dataset, again))
    _require(
        len(first) == len(second) and all(map(equal, first, second)),
        f"{source.cls.__name__}.load() returned other arrays the second time. Fix every seed.",
    )


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise ContractError(message)


ALL: Sequence[Callable[[Source], None]] = (
    it_has_a_docstring_and_a_licence,
    its_schedule_is_one,
    it_loads,
    rows_are_aligned,
    features_are_finite_float32,
    train_and_query_have_the_same_columns,
    labels_are_zero_or_one,
    ids_are_unique,
    it_loads_the_same_arrays_again,
)
