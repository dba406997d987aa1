"""Validates the arrays of a dataset: refuses one that breaks the contract.

Everything here is an error; :mod:`bench.data.doctor` gives findings on arrays that are merely suspicious.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.blocks import blocks
from bench.contract.dataset import Dataset
from bench.contract.items import MODALITIES, Split
from bench.errors import DataError

BLOCK = 1 << 22  # values read at a time: a temporary of 4 MB, whatever the dataset's size


def validate_dataset(dataset: Dataset) -> None:
    """Raise :class:`DataError` unless the arrays of ``dataset`` are what the contract promises."""
    owner = f"dataset {dataset.name!r}"
    for part, split in (("train", dataset.train), ("query", dataset.query)):
        _check_split(f"{owner}, {part}", split)
    _check_widths(owner, dataset)
    _check_ids(owner, dataset)
    for name, times in dataset.times.items():
        check_times(f"{owner}, times {name!r}", times, len(dataset.train))
    labels = dataset.query.labels
    assert labels is not None
    if empty := int((~labels.any(axis=1)).sum()):
        row = int((~labels.any(axis=1)).argmax())
        raise DataError(
            f"{owner}, query labels: {empty} of {len(labels)} rows are all zero (first: row {row}); expected "
            "a label for every query, since nothing is relevant to one without. Drop these queries."
        )


def finite(what: str, x: npt.NDArray[Any]) -> None:
    """Raise :class:`DataError` if ``x`` (n, d) holds a NaN or an infinity; ``what`` names it."""
    start = 0
    for block in blocks(x, BLOCK):
        good = np.isfinite(block)
        if not good.all():
            row, column = (int(i) for i in np.argwhere(~good)[0])
            raise DataError(
                f"{what}: row {start + row}, column {column} is {block[row, column]}; expected finite "
                "numbers. Repair or drop the item (float32 overflows above 3.4e38)."
            )
        start += len(block)


def check_parents(owner: str, parents: tuple[str, ...], classes: int) -> None:
    """Raise :class:`DataError` unless there is a parent for each of so many classes, or none at all."""
    if parents and len(parents) != classes:
        raise DataError(
            f"{owner}, parents: {len(parents)} for {classes} label columns; expected one each, empty for a "
            "class without. Name every parent or none."
        )


def check_times(what: str, times: object, rows: int) -> None:
    """Raise :class:`DataError` unless ``times`` is a time column of so many items."""
    if not isinstance(times, np.ndarray) or times.shape != (rows,) or times.dtype.kind not in "fU":
        raise DataError(f"{what}: {_shown(times)}; expected shape ({rows},). Make it with time_column().")


def _check_split(where: str, split: Split) -> None:
    ids = split.ids
    if not isinstance(ids, np.ndarray) or ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise DataError(
            f"{where} ids: {_shown(ids)}; expected whole numbers of shape (n,). Number the items."
        )
    if not len(ids):
        raise DataError(f"{where}: no items; expected at least one. Change what the split keeps.")
    for modality in MODALITIES:
        batch = split.batch(modality)
        for name, x in {"": batch.features, **batch.views}.items():
            what = f"{where} {modality} {'view ' + name if name else 'features'}"
            _check_matrix(what, x, np.float32, len(ids))
            finite(what, x)
    if split.labels is None:
        raise DataError(
            f"{where} labels: missing; expected uint8 (n, classes), which decide what is relevant. Add them."
        )
    _check_matrix(f"{where} labels", split.labels, np.uint8, len(ids))
    if (largest := int(split.labels.max())) > 1:
        raise DataError(
            f"{where} labels: the largest value is {largest}; expected 0 and 1. Make them multi-hot."
        )


def _check_matrix(what: str, x: object, dtype: type, rows: int) -> None:
    wanted = np.dtype(dtype)
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.dtype != wanted:
        raise DataError(f"{what}: {_shown(x)}; expected {wanted} of shape ({rows}, d). Convert it in load().")
    if x.shape[1] == 0:
        raise DataError(f"{what}: shape {x.shape}; expected at least one column. Check what was selected.")
    if len(x) != rows:
        raise DataError(f"{what}: {len(x)} rows; expected {rows}, one for every id. Align the arrays.")


def _check_widths(owner: str, dataset: Dataset) -> None:
    train, query = dataset.train, dataset.query
    assert train.labels is not None and query.labels is not None
    pairs: list[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]] = [("labels", train.labels, query.labels)]
    for m in MODALITIES:
        a, b = train.batch(m), query.batch(m)
        if a.views.keys() != b.views.keys():
            raise DataError(
                f"{owner}, {m} views: {sorted(a.views)} in train and {sorted(b.views)} in query; expected "
                "the same. Add the missing ones, or leave them out of both."
            )
        pairs.append((f"{m} features", a.features, b.features))
        pairs += [(f"{m} view {v}", a.views[v], b.views[v]) for v in sorted(a.views)]
    for what, x, y in pairs:
        if x.shape[1] != y.shape[1]:
            raise DataError(
                f"{owner}, {what}: {x.shape[1]} columns in train and {y.shape[1]} in query; expected the "
                "same. Extract both alike."
            )
    if dataset.classes and len(dataset.classes) != train.labels.shape[1]:
        raise DataError(
            f"{owner}, classes: {len(dataset.classes)} names for {train.labels.shape[1]} label columns; "
            "expected one each. Name every column or none."
        )
    check_parents(owner, dataset.parents, train.labels.shape[1])


def _check_ids(owner: str, dataset: Dataset) -> None:
    for part, split in (("train", dataset.train), ("query", dataset.query)):
        if repeated := len(split.ids) - len(np.unique(split.ids)):
            raise DataError(
                f"{owner}, {part} ids: {repeated} are repeated; expected unique ids. Number the items."
            )
    shared = np.intersect1d(dataset.train.ids, dataset.query.ids)
    if len(shared):
        raise DataError(
            f"{owner}: {len(shared)} query items are in the database as well (first id: {shared[0]}); "
            "expected none, since a query finds itself. Take them out of train."
        )


def _shown(x: object) -> str:
    return f"{x.dtype} of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
