"""Arrays in memory as a dataset: they are written once below the cache, where ``files`` reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract import foreign
from bench.disk import places, writing
from bench.errors import DataError, StoreError

Array = npt.NDArray[Any]
_MOST_QUERIES = 2000  # drawn where none are given


@dataclass(frozen=True)
class Arrays:
    """A dataset of arrays, for ``bench.run(datasets=…)``; :func:`arrays` makes one."""

    name: str
    folder: Path
    options: Mapping[str, int]

    def table(self) -> dict[str, Any]:
        """The dataset as a study file writes it."""
        return {"name": "files", "path": str(self.folder), "as": self.name, **self.options}


def arrays(
    image: Any,
    text: Any,
    labels: Any,
    *,
    query: tuple[Any, Any, Any] | None = None,
    queries: int | None = None,
    seed: int = 0,
    classes: Sequence[str] = (),
    name: str = "arrays",
) -> Arrays:
    """A dataset of arrays in memory: NumPy, torch, SciPy sparse, pandas, or lists.

    Row i of each is the same item. ``image`` (n, d) and ``text`` (n, e) are features. ``labels`` are a
    multi-hot matrix (n, c), a class number or name per item (n,), or a list of them per item. ``query`` holds
    the same three of the queries. Without it, ``queries`` rows are drawn with ``seed``: by default a tenth,
    at most 2000. ``classes`` names the label columns, ``name`` the dataset in tables.

    >>> bench.run(methods="lemon", datasets=bench.arrays(image, text, labels))  # doctest: +SKIP

    Raises DataError where an array is no matrix of numbers or the rows do not match.
    """
    given = {"image": image, "text": text, "labels": labels}
    parts = {"": given} if query is None else {"": given, "query_": dict(zip(given, query, strict=True))}
    named = {f"{part}{key}": value for part, values in parts.items() for key, value in values.items()}
    contents = _contents(named, classes)
    options = {}
    if query is None:
        rows = contents["labels"].shape[0]
        options = {"queries": min(_MOST_QUERIES, rows // 10) if queries is None else queries, "seed": seed}
    elif queries is not None:
        raise DataError(f"arrays: query and queries={queries} are given; expected one of them. Drop queries.")
    return Arrays(name, _written(contents), options)


def _contents(named: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Array]:
    """The arrays by the names under which ``files`` recognises them."""
    contents: dict[str, Array] = {}
    labels = {key: value for key, value in named.items() if key.endswith("labels")}
    for key, value in named.items():
        if key not in labels:
            contents.update(_features(key, value))
    multi_hot, columns = _labels(labels)
    contents |= multi_hot
    if names := tuple(map(str, classes)) or columns:
        contents["classes"] = np.array(names)
    for part in ("", "query_"):
        lengths = {
            key: _length(value) for key, value in named.items() if key.startswith("query_") == bool(part)
        }
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key} {length}" for key, length in lengths.items())
            raise DataError(
                f"arrays: the numbers of rows differ: {shown}; expected one item per row in each."
            )
    return contents


def _length(value: Any) -> int:
    return int(value.shape[0]) if hasattr(value, "shape") else len(value)


def _features(key: str, value: Any) -> dict[str, Array]:
    """A matrix of features, or its CSR parts where it is sparse."""
    if hasattr(value, "tocsr"):
        matrix = value.tocsr()
        matrix.sum_duplicates()
        parts = {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data}
        contents = {f"{key}_{part}": np.asarray(array) for part, array in parts.items()}
        return contents | {f"{key}_shape": np.array(matrix.shape)}
    matrix = _plain(value)
    if matrix.ndim > 2 and matrix.size == len(matrix) * max(matrix.shape[1:]):
        matrix = matrix.reshape(len(matrix), -1)  # such as (items, 1, columns)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise DataError(
            f"arrays: {key} is {matrix.dtype} of shape {matrix.shape}; expected numbers of shape (items, "
            "columns). Extract features first, for instance with a CLIP."
        )
    return {key: matrix}


def _labels(given: Mapping[str, Any]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Labels as arrays, lists of classes as multi-hot ones; and the names of the columns, where they tell."""
    stored = {key: foreign.listed(value) for key, value in given.items()}
    if foreign.list_classes(list(stored.values())):
        if not all(map(foreign.are_lists, stored.values())):
            raise DataError(
                "arrays: some labels are lists of classes and some are not. Give all in one form."
            )
        lists = {key: [[_plain_value(one) for one in row] for row in rows] for key, rows in stored.items()}
        known = sorted({one for rows in lists.values() for row in rows for one in row})
        numbers = {one: column for column, one in enumerate(known)}
        contents = {}
        for key, rows in lists.items():
            contents[key] = np.zeros((len(rows), len(known)), np.uint8)
            for i, row in enumerate(rows):
                contents[key][i, [numbers[one] for one in row]] = 1
        return contents, tuple(map(str, known))
    columns = next(iter(given.values()))
    names = tuple(map(str, columns.columns)) if hasattr(columns, "columns") else ()
    return {key: _plain(value) for key, value in given.items()}, names


def _plain_value(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _plain(value: Any) -> Array:
    """A NumPy array of a tensor on any device, a sparse matrix, a data frame, or a list."""
    array = foreign.dense(value)
    if array.dtype == object and array.size:
        array = np.array(array.tolist())  # text, numbers, or rows
    if array.dtype == object:
        raise DataError(
            f"arrays: an array of Python objects of shape {array.shape}; expected numbers, or names of "
            "classes as labels. Convert it with .astype(float)."
        )
    return array


def _written(contents: Mapping[str, Array]) -> Path:
    """The folder below the cache that holds these arrays, named by their content."""
    digest = hashlib.sha256()
    for key, array in sorted(contents.items()):
        digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    folder = places.cache() / "arrays" / digest.hexdigest()[:16]

    def fill(temporary: Path) -> None:
        for key, array in contents.items():
            np.save(temporary / f"{key}.npy", np.ascontiguousarray(array), allow_pickle=False)

    try:
        if not folder.is_dir():
            writing.replace_folder(folder, fill, found=None)
    except OSError as error:
        raise StoreError(
            f"arrays {folder}: cannot be written ({error.strerror or error}). Set BENCH_CACHE to a writable "
            "folder with enough space."
        ) from error
    return folder
