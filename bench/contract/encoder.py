"""The base class of encoders, which turn pictures and texts into the rows of a view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, dataclass_transform

from bench.contract import params
from bench.contract.dataset import Raw
from bench.contract.items import MODALITIES, Features, Modality
from bench.errors import DataError

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """An encoder that is loaded for one modality.

    ``one`` prepares a picture or a text; it is picklable, since it may run in a loader's process. ``many``
    turns the results of a batch into (n, d) float32. ``about`` holds everything that decides the rows
    (model, weights, preprocessing, version), as JSON has it: a view is extracted again where it differs.
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

    def check_device(self) -> None:
        """Raise :class:`DataError` where torch cannot compute on the device; call it before loading."""
        import torch

        try:
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"device {self.device!r}: {reason}. Write --device cpu.") from error


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False)
class Encoder(ABC):
    """Base class of encoders, one per file of ``bench/encoders`` or of your own.

    Annotated class attributes are the arguments of its views, in order: ``cells: int = param(4, "…")`` in
    palette.py makes the views ``palette`` and ``palette:8``. Import heavy packages inside :meth:`load`.
    """

    modalities: ClassVar[tuple[Modality, ...]] = MODALITIES
    reads_train: ClassVar[bool] = False  # load() learns from the training texts: a view for every split

    def __init_subclass__(cls) -> None:
        params.refuse_annotated(cls)
        dataclass(kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        params.check_instance(self)

    @abstractmethod
    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        """Load the model for the pictures or texts of ``raw``.

        What cannot be loaded is a :class:`bench.errors.DataError` that names it and says how to get it. A row
        may depend on nothing but its item, and where ``reads_train`` on the training texts.
        """
