"""A planned cell: its spec, with the method's class, the dataset and the stream that belong to it.

Cells share these, and each is looked up, loaded or cut when it is first needed, once. In another process
a class is looked up again by name, and a dataset is mapped from the cache; a stream arrives cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.dataset import Dataset, DatasetSource
from bench.contract.items import Split
from bench.contract.method import Method
from bench.data import cache, lacking
from bench.data.pictured import pictured
from bench.errors import DataError
from bench.protocol import classes, stream
from bench.protocol.stream import Plan
from bench.records import RunRecord, RunSpec, selector
from bench.study.selectors import Plugin


@dataclass(frozen=True, eq=False)
class PlannedData:
    """A dataset with its options, and the folder of its files."""

    plugin: Plugin
    options: Mapping[str, Any]
    root: Path

    @cached_property
    def source(self) -> DatasetSource:
        source: DatasetSource = self.plugin.cls(**self.options)
        return source

    @cached_property
    def lacking(self) -> list[str]:
        """The files or views that are missing, and the steps that get them; empty if nothing is."""
        return lacking.lines(self.source, self.root)

    @cached_property
    def cached(self) -> cache.CachedDataset:
        """Its place in the cache, where it is put when it is not there yet."""
        return cache.prepare(self.plugin.name, self.source, self.options, self.root)

    @cached_property
    def dataset(self) -> Dataset:
        """The arrays, mapped from disk."""
        opened = self.cached.open(self.source)
        train = replace(opened.train, classes=opened.classes, parents=opened.parents)
        return replace(opened, train=train)

    @cached_property
    def pictured(self) -> Dataset | DataError:
        """The dataset with pictures and texts, or why it has none: parsing takes long, so only on demand."""
        try:
            return pictured(self.dataset, self.source, self.root)
        except DataError as error:
            return error

    def require(self, record: RunRecord) -> None:
        """Raise DataError unless a record's cell ran on these arrays."""
        if self.cached.fingerprint != record.data:
            spec = record.spec
            name = spec.dataset_shown or spec.dataset
            raise DataError(f"{spec}: {name} is not the dataset of this run. Give its --data-root.")

    def queries(self, record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]]) -> Split:
        """The queries of a record's cell, with the labels by which they are judged.

        ``arrays`` are those of the record. Raises DataError where the cell ran on another dataset.
        """
        self.require(record)
        val = arrays["rows/query"].astype(np.intp)
        asked = self.dataset.train.take(val) if len(val) else self.dataset.query
        return classes.queries(record.spec, asked)

    def __getstate__(self) -> dict[str, Any]:
        """Without the arrays, which every process maps from the same files."""
        return {name: getattr(self, name) for name in ("plugin", "options", "root", "cached")}

    def __str__(self) -> str:
        return selector(self.plugin.name, self.options)


@dataclass(eq=False)
class PlannedStream:
    """Who arrives when: the same for all cells with this dataset, schedule, seed, pool and shares."""

    data: PlannedData
    spec: RunSpec  # of one of them
    _plan: Plan | None = field(default=None, init=False)

    def cut(self) -> Plan:
        """The plan, which the first call makes."""
        if self._plan is None:
            dataset = self.data.dataset
            self._plan = stream.of(self.spec, dataset.train, dataset.times)
            split, rows = (dataset.train, self._plan.val) if self.spec.val else (dataset.query, slice(None))
            if split.labels is not None:
                classes.asked(self.spec, split.labels[rows])  # it refuses a cell without queries
        return self._plan

    def __getstate__(self) -> dict[str, Any]:
        self.cut()
        return vars(self)


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One cell of a study, ready to run."""

    spec: RunSpec
    plugin: Plugin
    stream: PlannedStream

    @property
    def method(self) -> type[Method]:
        cls: type[Method] = self.plugin.cls
        return cls

    @property
    def data(self) -> PlannedData:
        return self.stream.data

    @property
    def dataset(self) -> Dataset:
        """The dataset, with pictures and texts where the method reads them and the dataset has them."""
        shown = self.data.pictured if self._reads_raw else self.data.dataset
        return self.data.dataset if isinstance(shown, DataError) else shown

    @property
    def no_pictures(self) -> str:
        """Why the pictures and texts that the method reads are not at hand, or ""."""
        shown = self.data.pictured if self._reads_raw else None
        return str(shown) if isinstance(shown, DataError) else ""

    @property
    def _reads_raw(self) -> bool:
        return self.method.capabilities.pictures or self.method.capabilities.texts

    @property
    def plan(self) -> Plan:
        return self.stream.cut()
