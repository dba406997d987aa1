"""Parquet files and Hugging Face's dataset folders (Arrow), through pyarrow, an extra.

A column of lists of equal length is a matrix; one of different lengths, a vector of lists. The shards of one
split are read together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import DataError, not_installed
from bench.datasets._reading.columns import are_views, groups
from bench.datasets._reading.variable import Array, Shape, text_array, vectors

SUFFIXES = (".parquet", ".arrow")
_SHARD = re.compile(r"(.*)-\d+-of-\d+$")  # train-00000-of-00002.parquet


def shapes(path: Path) -> dict[str, Shape]:
    table = _table(path)
    return {
        name: (len(table), len(places)) if len(places) > 1 else _shape(table.column(places[0]))
        for name, places in _grouped(table).items()
    }


def read(path: Path, name: str) -> Array:
    import pyarrow as pa

    table = _table(path)
    places = _grouped(table)[name]
    if len(places) > 1:
        return np.stack([table.column(place).to_numpy() for place in places], axis=1)
    column = table.column(places[0])
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_text(column.type):
        return text_array([value or "" for value in column.to_pylist()], (len(column),))
    shape = _shape(column)
    if _is_list(column.type) and len(shape) == 1:
        return vectors([value or [] for value in column.to_pylist()])
    flat = column.combine_chunks()
    while _is_list(flat.type):
        flat = flat.flatten()
    if pa.types.is_struct(flat.type) or pa.types.is_binary(flat.type):
        raise DataError(
            f"{path}, variable {name}: holds {flat.type}, such as pictures; expected numbers. Extract "
            "features from them first, or map another variable."
        )
    values = flat.to_numpy(zero_copy_only=False)
    if _is_text(flat.type):
        values = text_array(values.tolist(), values.shape)
    if values.size != np.prod(shape):
        raise ValueError(f"its lists hold {values.size} values and no matrix of shape {shape}")
    return values.reshape(shape)


def shards(path: Path) -> list[Path]:
    """The files that hold one split together; a file without a shard's name is alone."""
    name = split_of(path)
    return sorted(p for p in path.parent.glob(f"*{path.suffix}") if split_of(p) == name) if name else [path]


def split_of(path: Path) -> str:
    """``train`` of ``train-00000-of-00002.parquet``; "" if the name is not a shard's."""
    match = _SHARD.match(path.stem)
    return match[1] if match else ""


def _table(path: Path) -> Any:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(not_installed(f"{path}: a {path.suffix} file", "pyarrow", "parquet")) from error
    parts = []
    for shard in shards(path):
        if _begins(shard, b"PAR1"):
            parts.append(parquet.read_table(shard))
        else:
            parts.append(_arrow(pa, shard))
    return pa.concat_tables(parts)


def _arrow(pa: Any, path: Path) -> Any:
    """Hugging Face saves streams; other programs save files, which begin with ARROW1."""
    source = pa.memory_map(str(path))
    return (pa.ipc.open_file if _begins(path, b"ARROW1") else pa.ipc.open_stream)(source).read_all()


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _grouped(table: Any) -> dict[str, list[int]]:
    """The columns by name; numbers in columns such as img_0, img_1, ... form a matrix beside txt_0, ..."""
    import pyarrow as pa

    names = list(table.column_names)
    numbers = [
        pa.types.is_floating(t) or pa.types.is_integer(t) or pa.types.is_boolean(t)
        for t in table.schema.types
    ]
    together = groups(names) if are_views(names) else {}
    matrices = {n: places for n, places in together.items() if all(numbers[place] for place in places)}
    grouped = {place for places in matrices.values() for place in places}
    return matrices | {name: [place] for place, name in enumerate(names) if place not in grouped}


def _shape(column: Any) -> Shape:
    """Rows, and for lists of equal length also that; lists inside lists add axes."""
    shape: list[int] = [len(column)]
    if _is_list(column.type) and not _are_equal(column):
        return (len(column),)
    kind, value = column.type, column[0] if len(column) else None
    while _is_list(kind):
        inner = value.values if value is not None and value.is_valid else []
        shape.append(len(inner))
        value = inner[0] if len(inner) else None
        kind = kind.value_type
    return tuple(shape)


def _are_equal(column: Any) -> bool:
    """Whether all lists of a column have the same length, and none is missing."""
    from pyarrow import compute

    lengths = compute.min_max(compute.list_value_length(column)).as_py()
    return not column.null_count and lengths["min"] == lengths["max"]


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
