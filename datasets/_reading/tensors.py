"""PyTorch's .pt and .pth, if they hold tensors and nothing that would run code (``weights_only``)."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import DataError
from bench.datasets._reading.variable import Array, Shape

SUFFIXES = (".pt", ".pth")


def shapes(path: Path) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in _leaves(path.stem, _load(path))}


def read(path: Path, name: str) -> Array:
    import torch

    tensor = dict(_leaves(path.stem, _load(path)))[name]
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    dense = tensor.detach().to_dense()
    return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())


def _load(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds Python objects besides tensors; expected a dictionary of tensors, since loading "
            f"objects may run code. If you trust the file, save its tensors: import torch; data = "
            f"torch.load('{path.name}', weights_only=False); torch.save({{name: "
            f"torch.as_tensor(value) for name, value in data.items()}}, '{path.stem}_tensors.pt')"
        ) from error


def _leaves(name: str, value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of dictionaries by ``key`` or ``key/key``; those of a list as ``name{1}``, ``name{2}``, ..."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}{key}", inner, f"{prefix}{key}/")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(f"{name}{{{number}}}", inner, f"{name}{{{number}}}/")
    elif hasattr(value, "shape"):
        yield name, value
