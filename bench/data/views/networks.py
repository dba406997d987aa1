"""Features of pictures from networks of timm: what its classifier would see (VGG16: fc7, after the ReLU)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.contract.items import Features
from bench.data.views import weights
from bench.data.views.extractor import Extractor, Setting
from bench.data.views.names import View
from bench.errors import DataError, UnknownNameError


def extractor(view: View, setting: Setting) -> Extractor:
    """Load a network by name, with its usual weights or a local file, and take its classifier off."""
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config

    if view.kind not in timm.list_models():
        known = [*timm.list_models(), "clip", "gist", "hog", "colour", "bow", "tfidf", "sentence"]
        raise UnknownNameError("view, nor network of timm,", view.kind, known)
    if view.arguments:
        path = setting.path(view.arguments[0])
        model, matched = _from_file(view.kind, path)
    else:
        model, matched = _from_hub(view), "by name"
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    half = setting.half()
    about = {
        "model": view.kind,
        "weights": weights.digest(model),
        "matched": matched,
        "precision": "bf16" if half else "fp32",
        "preprocessing": " ".join(repr(transform).split()),
    }
    model = model.eval().requires_grad_(False).to(setting.device, torch.bfloat16 if half else torch.float32)
    return Extractor(transform, _Network(model, setting.device), about)


def _from_hub(view: View) -> Any:
    import timm

    try:
        return timm.create_model(view.kind, pretrained=True, num_classes=0)
    except Exception as error:  # what the hub and the network raise has no common type
        raise DataError(
            f"view {view}: its weights cannot be fetched ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}). Connect once, or give a local file: {view}:FILE."
        ) from error


def _from_file(name: str, path: Path) -> tuple[Any, str]:
    """The network with the weights of a file, every tensor in its place, and how names were matched."""
    import timm

    state, matched = weights.read(path), "by name"
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
