"""Arrays of other libraries as NumPy arrays: torch, SciPy's sparse matrices, pandas, lists, generators."""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Sequence, ValuesView
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LISTS = (list, tuple, set, frozenset, np.ndarray)


def dense(values: Any) -> Array:
    """A list, a torch tensor, a sparse matrix or a data frame as an array; bytes as text."""
    values = listed(values)
    if hasattr(values, "detach"):
        values = _of_tensor(values)
    array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def listed(values: Any) -> Any:
    """A column of a data frame, a generator, or tensors in a list as a list; anything else as it is."""
    if hasattr(values, "columns") and len(values.columns) == 1:
        values = values.iloc[:, 0]
    if hasattr(values, "categories"):
        values = values.tolist()
    elif hasattr(values, "to_list"):
        values = values.to_list()
    elif isinstance(values, (KeysView, ValuesView)) or (
        isinstance(values, Iterable) and not hasattr(values, "__len__")
    ):
        values = list(values)
    if isinstance(values, (list, tuple)) and any(hasattr(one, "detach") for one in values):
        tensors = map(_of_tensor, values)
        values = [one if one.ndim else one.item() for one in tensors]
    return values


def exact(value: Any) -> Any:
    """An array, a tensor or one of its numbers as Python's; 0.1 in single precision is 0.1."""
    if hasattr(value, "detach"):
        value = _of_tensor(value)
    if not hasattr(value, "tolist"):
        return value
    single = getattr(value, "dtype", np.dtype(object)).kind == "f" and value.dtype.itemsize < 8
    return (np.asarray(value).astype(str).astype(np.float64) if single else value).tolist()


def list_classes(sides: Sequence[Any]) -> bool:
    """Whether the labels of some side are lists of each item's classes, and no matrix of 0 and 1."""
    return any(map(_ragged, sides)) or (all(map(are_lists, sides)) and not all(map(_zero_one, sides)))


def are_lists(labels: Any) -> bool:
    """Whether these are lists in a list, which may be rows of a matrix or class numbers of items."""
    nested = isinstance(labels, (list, tuple)) or (isinstance(labels, np.ndarray) and labels.dtype == object)
    return (
        nested
        and len(labels) > 0
        and all(isinstance(one, LISTS) and getattr(one, "ndim", 1) == 1 for one in labels)
    )


def _ragged(labels: Any) -> bool:
    return are_lists(labels) and (
        len({len(one) for one in labels}) > 1 or isinstance(labels[0], (set, frozenset))
    )


def _zero_one(labels: Any) -> bool:
    """Whether lists in a list of equal lengths are a matrix of 0 and 1, or of -1 and 1, or one column."""
    array = np.asarray(labels)
    return array.shape[1:] == (1,) or bool(np.isin(array, (0, 1)).all() or np.isin(array, (-1, 1)).all())


def _of_tensor(tensor: Any) -> Array:
    """A tensor of torch, maybe on a GPU, sparse, or in bfloat16, which NumPy lacks."""
    plain = tensor.detach().cpu().to_dense()
    is_bfloat16 = str(plain.dtype) == "torch.bfloat16"
    array: Array = (plain.float() if is_bfloat16 else plain).numpy()
    return array
