"""PyTorch's .pt and .pth, loaded with ``weights_only``, which runs no code, and .safetensors."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import DataError
from bench.datasets._reading.matlab import VIEWS
from bench.datasets._reading.variable import Array, Shape, text_array, vectors

SUFFIXES = (".pt", ".pth")


def shapes(path: Path) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in _leaves(path.stem, _load(path))}


def read(path: Path, name: str) -> Array:
    import torch

    tensor = dict(_leaves(path.stem, _load(path)))[name]
    return _array(tensor) if isinstance(tensor, torch.Tensor) else np.asarray(tensor)


def safe_shapes(path: Path) -> dict[str, Shape]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def safe_read(path: Path, name: str) -> Array:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return _array(file.get_tensor(name))


def _array(tensor: Any) -> Array:
    import torch

    dense = tensor.detach().to_dense()
    return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())


def _load(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on sparse tensors, which users can do nothing about
            return torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        if "weights_only" in str(error):  # torch advises to load without it
            raise ValueError("torch.save did not write it") from error
        raise
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds Python objects besides tensors; expected a dictionary of tensors, since loading "
            f"objects may run code. If you trust the file, save its tensors: import torch; data = "
            f"torch.load('{path.name}', weights_only=False); torch.save({{name: "
            f"torch.as_tensor(value) for name, value in data.items()}}, '{path.stem}_tensors.pt'), with the "
            "names of a TensorDataset: data = dict(zip(('image', 'text', 'labels'), data.tensors))"
        ) from error


def _leaves(name: str, value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of dictionaries by ``key`` or ``key/key``; those of a list as ``name{1}``, ``name{2}``, ..."""
    if (stacked := _stacked(value)) is not None:
        yield from _leaves(name, stacked, prefix)
        if isinstance(value, Mapping):  # by their ids
            yield f"{name}_ids", text_array([str(key) for key in value], (len(value),))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}{key}", inner, f"{prefix}{key}/")
    elif isinstance(value, (list, tuple)) and (plain := _plain(value)) is not None:
        yield name, plain
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(f"{name}{{{number}}}", inner, f"{name}{{{number}}}/")
    elif hasattr(value, "shape"):
        yield name, value


def _stacked(value: Any) -> Any:
    """The items of a list of dictionaries, or of a dictionary by id, as arrays; None for anything else."""
    import torch

    if isinstance(value, Mapping) and len(value) > VIEWS:
        rows = list(value.values())
        flat = all(isinstance(row, torch.Tensor) and row.numel() == max(row.shape, default=0) for row in rows)
        if flat and len({row.numel() for row in rows}) == 1:
            return torch.stack([row.ravel() for row in rows])
    alike = isinstance(value, (list, tuple)) and len(value) > VIEWS and isinstance(value[0], Mapping)
    if alike and all(isinstance(item, Mapping) and item.keys() == value[0].keys() for item in value):
        columns = {key: [item[key] for item in value] for key in value[0]}
        return {key: _together(column) for key, column in columns.items()}
    return None


def _together(column: list[Any]) -> Any:
    """One entry of all items: tensors of equal shapes as a matrix, others as they are."""
    import torch

    tensors = all(isinstance(one, torch.Tensor) for one in column)
    if tensors and len({one.shape for one in column}) == 1:
        return torch.stack(column)
    return [one.tolist() for one in column] if tensors else column


def _plain(values: Sequence[Any]) -> Array | None:
    """A list of numbers, of strings or of lists of numbers as an array; None for a list of anything else."""
    if values and all(isinstance(value, str) for value in values):
        return text_array(list(values), (len(values),))
    rows = [value if isinstance(value, (list, tuple)) else [value] for value in values]
    if not rows or not all(isinstance(n, (int, float)) for row in rows for n in row):
        return None
    equal = len({len(row) for row in rows}) == 1
    return np.array(values) if equal else vectors(rows)
