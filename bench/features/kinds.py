"""Which module extracts which kind of view. A model is imported when its view is asked for."""

from __future__ import annotations

from bench.api import Modality, Raw
from bench.errors import DataError
from bench.features.extractor import Extractor, Setting
from bench.features.names import View


def make(view: View, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
    """The extractor of a view; loads its model."""
    if view.kind in ("bow", "tfidf"):
        from bench.features import words

        return words.extractor(view, raw)
    if view.kind in ("gist", "hog", "colour"):
        from bench.features import light

        return light.extractor(view)
    _check_device(setting)
    if view.kind == "clip":
        from bench.features import clip

        return clip.extractor(view, modality, setting)
    if view.kind == "sentence":
        from bench.features import sentences

        return sentences.extractor(view, setting)
    from bench.features import networks

    return networks.extractor(view, setting)


def _check_device(setting: Setting) -> None:
    """Raise :class:`DataError` where the device is not there, before anything is loaded."""
    import torch

    try:
        torch.empty(1, device=setting.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"device {setting.device!r}: {reason}. Write --device cpu.") from error
