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

from bench.api import Encoder, Extractor, Features, Modality, Raw, Setting, load_clip, param
from bench.encoders import _weights


class Clip(Encoder):
    """The picture tower or the text tower of a CLIP model."""

    model: str = param(dataclasses.MISSING, "as open_clip names it, or the folder of a local checkpoint")
    weights: str | None = param(None, "as open_clip names them, or a file")

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        import torch

        setting.check_device()
        model, preprocess, tokenizer = load_clip(self.model, self.weights, setting)
        half = setting.half()
        about = {
            "model": ":".join(["clip", self.model, *([] if self.weights is None else [self.weights])]),
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
            found = torch.func.functional_call(self.model, shorter, (), {"text": tokens[:, :n]})
            return _unit(found["text_features"] if isinstance(found, dict) else found[1])


def _unit(x: Any) -> Features:
    import torch

    found: Features = torch.nn.functional.normalize(x.float(), dim=-1).cpu().numpy()
    return np.ascontiguousarray(found)
