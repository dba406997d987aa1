"""Histograms of oriented gradients of the picture at 64 × 64: 1764 values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import Encoder, Extractor, Modality, Raw, Setting


class Hog(Encoder):
    """Gradients of the grey picture: 9 orientations, cells of 8 × 8 pixels, blocks of 2 × 2 cells."""

    modalities = ("image",)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        about = {"model": "histograms of oriented gradients of the picture at 64 × 64: 1764", "version": 1}
        return Extractor(hog, np.stack, about)


def hog(picture: Any) -> npt.NDArray[np.float32]:
    """(1764,) histograms of oriented gradients."""
    from skimage.feature import hog as histograms

    grey = np.asarray(picture.convert("L").resize((64, 64)), np.float32) / 255
    found = histograms(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    return np.asarray(found, np.float32)
