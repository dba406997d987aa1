"""Reads the arrays of every container that the field uses, one module each, and never runs their code."""

from bench.datasets._reading.folder import (
    data_files,
    is_data,
    item_column,
    item_names,
    refuse_left_out,
    refuse_strangers,
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
    "refuse_left_out",
    "refuse_strangers",
    "side_by_side",
    "strings",
    "variables",
    "vectors",
]
