"""What turns pictures or texts into the rows of one view, and how it is described in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.contract.items import Features

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """``one`` prepares a picture or text, in a loader's process where there are any, and is picklable;
    ``many`` turns what it gave for a batch into (n, d) float32. ``about`` tells one extraction from
    another: model, weights, preprocessing, precision.
    """

    one: Callable[[Any], Any]
    many: Callable[[Sequence[Any]], Features]
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where models come from and how they compute; ``auto`` is bf16 where the device has it."""

    root: Path
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    precision: Precision = "auto"

    def path(self, name: str) -> Path:
        """A local checkpoint: one that the dataset ships, or a path, relative to the data root."""
        return self.checkpoints.get(name) or self.root / Path(name).expanduser()

    def half(self) -> bool:
        """Whether networks compute in bf16."""
        import torch

        if self.precision != "auto":
            return self.precision == "bf16"
        if torch.device(self.device).type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        known: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.5 and later
        return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
