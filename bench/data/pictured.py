"""A dataset whose batches also carry the pictures and texts that its features come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.contract.dataset import Dataset, DatasetSource, Raw
from bench.contract.items import Rows, Split
from bench.contract.pictures import Pictures
from bench.errors import DataError


def pictured(dataset: Dataset, source: DatasetSource, root: Path) -> Dataset:
    """The dataset with pictures and texts; nothing is decoded.

    Raises :class:`DataError` where the dataset has features alone, a file is missing, the items are others,
    or its pictures cannot be cut down to those that a method may see.
    """
    raw = source.raw(root)
    if raw is None:
        raise DataError("the dataset has features alone")
    if not hasattr(raw.image, "take"):
        raise DataError(f"{dataset.name}: Raw.image has no take(rows). Add it, as bench.api.Raw describes")
    train, query = (
        _split(dataset.name, split, raw, rows)
        for split, rows in ((dataset.train, raw.train), (dataset.query, raw.query))
    )
    return replace(dataset, train=train, query=query)


def _split(name: str, split: Split, raw: Raw, rows: Rows) -> Split:
    if not np.array_equal(raw.ids[rows], split.ids):
        raise DataError(f"{name}: the pictures belong to other items than the features. Prepare it again")
    pictures = Pictures(raw.image, np.asarray(rows, dtype=np.intp))  # type: ignore[arg-type]  # it has take
    image = replace(split.image, pictures=pictures)
    text = replace(split.text, texts=tuple(raw.texts[int(row)] for row in rows))
    return replace(split, image=image, text=text)
