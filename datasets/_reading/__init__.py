"""Reads the arrays of every container that the field uses, one module each, and never runs their code."""

from bench.datasets._reading.folder import (
    data_files,
    is_data,
    item_column,
    item_names,
    side_by_side,
    variables,
)
from bench.datasets._reading.variable import (
    AnyVariable,
    Array,
    SparseRows,
    Variable,
    ragged,
    strings,
    vectors,
)

__all__ = [
    "AnyVariable",
    "Array",
    "SparseRows",
    "Variable",
    "data_files",
    "is_data",
    "item_column",
    "item_names",
    "ragged",
    "side_by_side",
    "strings",
    "variables",
    "vectors",
]
