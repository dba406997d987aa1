"""Pretrained models for methods: a CLIP to train further, and the rows that an encoder gives some texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract.dataset import Raw
from bench.contract.encoder import Setting
from bench.contract.items import Features
from bench.data.views.names import View
from bench.errors import DataError, UnknownNameError
from bench.plugins import registry


def clip_model(text: str, device: str = "cpu") -> tuple[Any, Any, Any]:
    """A CLIP model in float32, its transform of pictures and its tokenizer: for methods that train it.

    ``text`` is MODEL:WEIGHTS, the folder of a local checkpoint, or ``small``: the model of 1 million
    parameters that hashbench ships, which was trained on scenes of its own.
    """
    import torch

    setting = Setting(root=Path.cwd(), checkpoints={"small": shipped()}, device=device)
    setting.check_device()
    name, _, pretrained = text.partition(":")
    with torch.random.fork_rng(devices=[]):  # torch draws weights before it loads them
        model, preprocess, tokenizer = load_clip(name, pretrained or None, setting)
    return model.float().to(device), preprocess, tokenizer


def encode_texts(view: str, texts: Sequence[str]) -> Features:
    """The rows (n, d) that a view of texts, such as ``clip:small`` or ``sentence``, gives these texts.

    A view that learns from training texts, such as ``bow:1``, learns from these.
    """
    rows = np.arange(len(texts))
    none = np.zeros((len(texts), 0), dtype=np.uint8)
    raw = Raw(ids=rows, image=_no_image, texts=texts, labels=none, classes=(), train=rows, query=rows[:0])
    setting = Setting(root=Path.cwd(), checkpoints={"small": shipped()}, precision="fp32")
    extractor = View.parse(view).load("text", raw, setting)
    return extractor.many([extractor.one(text) for text in texts])


def _no_image(row: int) -> Any:
    raise DataError(f"item {row} is a text. Use a view of texts.")


def shipped() -> Path:
    """The folder of the small CLIP."""
    scenes = registry.locate("bench.datasets.scenes")
    assert scenes is not None, "a part of hashbench"
    return scenes / "clip"


def _view(name: str, pretrained: str | None) -> str:
    return ":".join(["clip", name, *([] if pretrained is None else [pretrained])])


def load_clip(name: str, pretrained: str | None, setting: Setting) -> tuple[Any, Any, Any]:
    """A CLIP model, its transform of pictures and its tokenizer.

    ``name`` and ``pretrained`` are as open_clip names them, or ``pretrained`` is a file; without it, ``name``
    is the folder of a local checkpoint. What cannot be loaded is a :class:`bench.errors.DataError`.
    """
    import open_clip

    view = _view(name, pretrained)
    options: dict[str, Any] = {}
    if pretrained is None:
        folder = setting.path(name)
        _check_folder(folder)
        name = f"local-dir:{folder}"
    elif name not in open_clip.list_models():
        raise UnknownNameError("open_clip model", name, open_clip.list_models())
    elif pretrained in open_clip.list_pretrained_tags_by_model(name):
        config = open_clip.get_pretrained_cfg(name, pretrained)
        options["force_quick_gelu"] = bool(
            config.get("quick_gelu")
        )  # else other features, and only a warning
    elif (file := setting.path(pretrained)).is_file():
        pretrained = str(file)
    else:
        known = open_clip.list_pretrained_tags_by_model(name)
        raise UnknownNameError(f"file, nor open_clip weights of {name}", pretrained, known)
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            name, pretrained, weights_only=True, **options
        )
        return model, preprocess, open_clip.get_tokenizer(name)
    except Exception as error:  # what the hub, the network and a damaged checkpoint raise has no common type
        raise DataError(
            f"view {view}: cannot be loaded ({type(error).__name__}: {' '.join(str(error).split())[:200]}). "
            "Weights come from the hub the first time: connect once, or give a local checkpoint, "
            "clip:FOLDER with open_clip_config.json and the weights."
        ) from error


def _check_folder(folder: Any) -> None:
    if not (folder / "open_clip_config.json").is_file():
        raise DataError(
            f"{folder}: has no open_clip_config.json; expected a local checkpoint of open_clip (that file "
            "beside open_clip_model.safetensors), or write clip:MODEL:WEIGHTS."
        )
