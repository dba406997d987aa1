"""Measured indexes beside a record: a JSON file with the suffix ``.index``, read as strictly as a record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from bench.disk import writing
from bench.disk.form import mismatch
from bench.disk.reading import read_json
from bench.errors import FileError, StoreError
from bench.records import SCHEMA, IndexRecord, RunSpec, SearchRecord
from bench.storing.reading import file_name

KINDS = ("scan", "flat", "ivf", "hnsw", "multihash")
_FIX = "Measure it again: bench index."


def path(folder: Path, spec: RunSpec) -> Path:
    """The file of the measured indexes of a cell."""
    return (folder / file_name(spec)).with_suffix(".index")


def write(target: Path, index: IndexRecord) -> Path:
    """Write them in place of earlier ones. Raises StoreError where that is not possible."""
    try:
        writing.replace_bytes(target, json.dumps(asdict(index), indent=1).encode())
    except OSError as error:
        raise StoreError(
            f"cannot write {target}: {error.strerror or error}. Make the folder writable."
        ) from error
    return target


def read(source: Path) -> IndexRecord:
    """The measured indexes in a file. Raises StoreError for any other content, with the reason."""
    try:
        stored = read_json(source)
    except FileError as error:
        raise StoreError(f"{source}: {error.reason}. {_FIX}") from error
    if problem := mismatch(stored, IndexRecord, "index"):
        raise StoreError(f"{source}: {problem}. {_FIX}")
    index = IndexRecord.from_json(stored)
    if problem := next(_nonsense(index), ""):
        raise StoreError(f"{source}: {problem}. {_FIX}")
    return index


def _nonsense(index: IndexRecord) -> Iterator[str]:
    """What the annotations leave open and readers rely on."""
    if index.schema != SCHEMA:
        yield f"index.schema is {index.schema}; expected {SCHEMA}"
    if min(index.items, index.queries, index.chunk) < 1:
        yield "index has a count below 1"
    for name in ("clip_recall", "output_recall"):
        for direction, recall in getattr(index, name).items():
            yield from _shares(recall.values(), f"index.{name}.{direction}")
    for search in index.searches:
        yield from _of_search(search)


def _of_search(search: SearchRecord) -> Iterator[str]:
    where = f"search {search.index} {search.setting}".rstrip()
    if search.index not in KINDS:
        yield f"{where}: expected one of {', '.join(KINDS)}"
    if set(search.recall) != set(search.precision) or not search.recall:
        yield f"{where}: expected recall and precision at the same k"
    yield from _shares((*search.recall.values(), *search.precision.values()), where)
    counted = (search.p50, search.p99, search.bytes_per_item, search.build_seconds, search.add_seconds)
    busy = [value for value in (search.busy_p50, search.busy_p99) if value is not None]
    for value in (*counted, *busy, *search.rates.values()):
        if not (math.isfinite(value) and value >= 0):
            yield f"{where} has {value}; expected a number from 0"
    if not search.rates.get("1"):
        yield f"{where}: expected queries per second on 1 thread"
    if not all(threads.isdecimal() for threads in search.rates):
        yield f"{where}: expected numbers of threads; got {', '.join(search.rates)}"


def _shares(values: Iterable[float], where: str) -> Iterator[str]:
    for value in values:
        if not 0 <= value <= 1:
            yield f"{where} has {value}; expected a share from 0 to 1"
