"""Joint histogram of hue, saturation and value, square roots: 256 values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import Encoder, Extractor, Modality, Raw, Setting


class Colour(Encoder):
    """How much of a picture each of 16 × 4 × 4 colours covers; the square roots have norm 1."""

    modalities = ("image",)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        about = {
            "model": "joint histogram of hue, saturation and value, 16 × 4 × 4, square roots: 256",
            "version": 1,
        }
        return Extractor(colour, np.stack, about)


def colour(picture: Any) -> npt.NDArray[np.float32]:
    """(256,) joint histogram of hue (16), saturation (4) and value (4); square roots, so norm 1."""
    from skimage.color import rgb2hsv

    hsv = rgb2hsv(np.asarray(picture.convert("RGB").resize((64, 64))))
    bins = np.minimum((hsv * (16, 4, 4)).astype(np.intp), (15, 3, 3)) @ (16, 4, 1)
    counts = np.bincount(bins.ravel(), minlength=256)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)
