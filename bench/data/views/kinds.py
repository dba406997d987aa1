"""Which module extracts which kind of view. A model is imported when its view is asked for."""

from __future__ import annotations

from bench.contract.dataset import Raw
from bench.contract.items import Modality
from bench.data.views.extractor import Extractor, Setting
from bench.data.views.names import View
from bench.errors import DataError


def make(view: View, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
    """The extractor of a view; loads its model."""
    if view.kind in ("bow", "tfidf"):
        from bench.data.views import words

        return words.extractor(view, raw)
    if view.kind in ("gist", "hog", "colour"):
        from bench.data.views import light

        return light.extractor(view)
    _check_device(setting)
    if view.kind == "clip":
        from bench.data.views import clip

        return clip.extractor(view, modality, setting)
    if view.kind == "sentence":
        from bench.data.views import sentences

        return sentences.extractor(view, setting)
    from bench.data.views import networks

    return networks.extractor(view, setting)


def _check_device(setting: Setting) -> None:
    """Raise :class:`DataError` where the device is not there, before anything is loaded."""
    import torch

    try:
        torch.empty(1, device=setting.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"device {setting.device!r}: {reason}. Write --device cpu.") from error
