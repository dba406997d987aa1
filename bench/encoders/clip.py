"""CLIP by open_clip: clip:MODEL:WEIGHTS, or clip:FOLDER of a local checkpoint.

Pictures and texts become unit vectors of one space. Texts are cut to the longest of the batch, which changes
nothing: attention is causal and the output is read at the end of the text. bf16 is the whole model in bf16;
autocast under ``inference_mode`` would cast the weights anew in every call, and be slower than fp32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

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


class Clip(Encoder):
    """The picture tower or the text tower of a CLIP model."""

    model: str = param(dataclasses.MISSING, "as open_clip names it, or the folder of a local checkpoint")
    weights: str | None = param(None, "as open_clip names them, or a file")

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        import torch

        setting.check_device()
        model, preprocess, tokenizer = _load(self.model, self.weights, setting)
        half = setting.half()
        about = {
            "model": _view(self.model, self.weights),
            "weights": _weights.digest(model),
            "precision": "bf16" if half else "fp32",
            "rows": "norm 1",
        }
        kind = torch.bfloat16 if half else torch.float32
        model = model.eval().requires_grad_(False).to(setting.device, kind)
        if modality == "image":
            about["preprocessing"] = " ".join(repr(preprocess).split())
            return Extractor(preprocess, _Pictures(model, setting.device), about)
        about["preprocessing"] = f"{type(tokenizer).__name__}, {tokenizer.context_length} tokens"
        return Extractor(_Tokens(tokenizer), _Texts(model, setting.device), about)


def _view(name: str, pretrained: str | None) -> str:
    return ":".join(["clip", name, *([] if pretrained is None else [pretrained])])


def _load(name: str, pretrained: str | None, setting: Setting) -> tuple[Any, Any, Any]:
    """Network, transform of pictures and tokenizer."""
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


class _Pictures:
    def __init__(self, model: Any, device: str) -> None:
        self.model, self.device = model, device

    def __call__(self, pictures: Sequence[Any]) -> Features:
        import torch

        with torch.inference_mode():
            batch = torch.stack(list(pictures)).to(self.device, next(self.model.parameters()).dtype)
            return _unit(self.model.encode_image(batch))


class _Tokens:
    """One text as a row of token numbers; picklable."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, text: str) -> Any:
        return self.tokenizer([text])[0]


class _Texts:
    """Runs the text tower on the tokens up to the last that any text of the batch is read at."""

    def __init__(self, model: Any, device: str) -> None:
        self.model, self.device = model, device
        inside = (
            type(model).__name__ == "CustomTextCLIP"
        )  # the tower is a module, else its parts are the model's
        text = model.text if inside else model
        self.prefix = "text." if inside else ""
        self.pool = getattr(text, "pool_type" if inside else "text_pool_type", "")
        self.end = getattr(text, "eos_id" if inside else "text_eos_id", None)
        self.cuts = (
            (inside or type(model).__name__ == "CLIP")
            and getattr(text, "attn_mask", None) is not None
            and getattr(text, "cls_emb", None) is None
            and self.pool in ("argmax", "eos")
        )
        self.text = text

    def __call__(self, texts: Sequence[Any]) -> Features:
        import torch

        with torch.inference_mode():
            tokens = torch.stack(list(texts)).to(self.device)
            if not self.cuts:
                return _unit(self.model.encode_text(tokens))
            read_at = (tokens == self.end).int() if self.pool == "eos" else tokens
            n = int(read_at.argmax(dim=-1).max()) + 1
            shorter = {
                f"{self.prefix}positional_embedding": self.text.positional_embedding[:n],
                f"{self.prefix}attn_mask": self.text.attn_mask[:n, :n],
            }
            found = torch.func.functional_call(self.model, shorter, kwargs={"text": tokens[:, :n]})
            return _unit(found["text_features"] if isinstance(found, dict) else found[1])


def _unit(x: Any) -> Features:
    import torch

    found: Features = torch.nn.functional.normalize(x.float(), dim=-1).cpu().numpy()
    return np.ascontiguousarray(found)
