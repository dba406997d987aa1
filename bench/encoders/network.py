"""Any network of timm, without its classifier: vgg16 (fc7), efficientnet_lite0, resnet50:WEIGHTS ...

A view that no encoder is called after is such a network's name; ``network:vgg16`` says the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.api import (
    DataError,
    Encoder,
    Extractor,
    Features,
    Modality,
    Raw,
    Setting,
    UnknownNameError,
    param,
)
from bench.encoders import _weights


class Network(Encoder):
    """The input of a network's classifier (VGG16: fc7, after the ReLU)."""

    modalities = ("image",)
    model: str = param(dataclasses.MISSING, "architecture, as timm names it")
    weights: str | None = param(
        None, "a local file; without it, those of an installed package, or timm's usual weights"
    )

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        import timm
        import torch
        from timm.data import create_transform, resolve_model_data_config

        setting.check_device()
        known = timm.list_models()
        if self.model not in known:
            raise UnknownNameError("encoder (`bench list encoders`) nor network of timm", self.model, known)
        file = _weights.installed(self.model) if self.weights is None else setting.path(self.weights)
        model, matched = (_from_hub(self.model), "by name") if file is None else _from_file(self.model, file)
        transform = create_transform(**resolve_model_data_config(model), is_training=False)
        half = setting.half()
        about = {
            "model": self.model,
            "weights": _weights.digest(model),
            "matched": matched,
            "precision": "bf16" if half else "fp32",
            "preprocessing": " ".join(repr(transform).split()),
        }
        kind = torch.bfloat16 if half else torch.float32
        model = model.eval().requires_grad_(False).to(setting.device, kind)
        return Extractor(transform, _Network(model, setting.device), about)


def _from_hub(name: str) -> Any:
    import timm

    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # what the hub and the network raise has no common type
        raise DataError(
            f"view {name}: its weights cannot be fetched ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}). Connect once, or give a local file: {name}:FILE."
        ) from error


def _from_file(name: str, path: Path) -> tuple[Any, str]:
    """The network with the weights of a file, every tensor in its place, and how names were matched."""
    import timm

    state, matched = _weights.read(path), "by name"
    whole = timm.create_model(name)
    for own in (whole.state_dict(), timm.create_model(name, num_classes=0).state_dict()):
        alike = [v.shape for v in state.values()] == [v.shape for v in own.values()]
        if alike and not state.keys() & own.keys():
            state, matched = dict(zip(own, state.values(), strict=True)), "by order and shape"
    head = f"{whole.default_cfg.get('classifier', 'classifier')}.weight"
    classes = len(state[head]) if head in state else 0
    overlay = {"state_dict": state, "num_classes": classes, "custom_load": False, "source": ""}
    try:
        model = timm.create_model(name, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{path}: does not fit the network {name} ({reason}). Give weights of that network, or the name "
            "of the network they are of."
        ) from error
    model.reset_classifier(0)
    return model, matched


class _Network:
    def __init__(self, model: Any, device: str) -> None:
        self.model, self.device = model, device

    def __call__(self, pictures: Sequence[Any]) -> Features:
        import torch

        with torch.inference_mode():
            batch = torch.stack(list(pictures)).to(self.device, next(self.model.parameters()).dtype)
            found: Features = self.model(batch).float().cpu().numpy()
            return found
