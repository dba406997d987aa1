"""Kept models and measured indexes beside records: whether they belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import models
from bench.errors import StoreError
from bench.records import RunRecord
from bench.scoring import hamming
from bench.storing import indexes
from bench.storing.store import Store
from bench.study.planned import PlannedData


def faults(store: Store, record: RunRecord) -> Iterator[tuple[Path, str]]:
    """The model and the index of a cell that are not its own, each with the reason."""
    for path in store.beside(record):
        try:
            problem = _model(path, record) if path.suffix == models.SUFFIX else _index(path, record)
        except StoreError as error:
            problem = str(error).removeprefix(f"{path}: ")
        if problem:
            yield path, problem


def _model(path: Path, record: RunRecord) -> str:
    about, spec = models.facts_of(path), record.spec
    known = {"method": spec.method, "params": dict(spec.params), "bits": spec.bits, "seed": spec.seed}
    known |= {"code": record.code, "data": record.data}
    for name, value in known.items():
        if (held := getattr(about, name)) != value:
            return f"its {name} is {held!r}; its cell has {value!r}. Train it again: bench run --keep-models"
    return ""


def _index(path: Path, record: RunRecord) -> str:
    index = indexes.read(path)
    items = record.over("all").rounds[-1].items if record.rounds else 0
    if index.arrays != record.arrays:
        return "it was measured over other codes than its cell's. Measure it again: bench index"
    if index.items != items:
        return f"it covers {index.items} items; its cell has {items}. Measure it again: bench index"
    return ""


def model_differences(
    path: Path, record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]], data: PlannedData
) -> Iterator[str]:
    """The codes of the queries that a kept model gives and the run did not; nothing where they have none."""
    if not record.compares_codes:
        return
    model, query = models.load(path), data.queries(record, arrays)
    for modality in ("image", "text"):
        codes = model.encode(query.batch(modality).seen_as(model.view).features, modality)
        stored = arrays[f"codes/query/{modality}"]
        if count := int(np.count_nonzero((hamming.pack_codes(codes) != stored).any(axis=0))):
            yield f"its model gives {count} of {len(codes)} {modality} queries other codes"
