"""Own encoder: the mean colours of a picture on a grid; own_encoder:8 has 8 × 8 cells."""

from functools import partial
from typing import Any

import numpy as np

from bench.api import Encoder, Extractor, Modality, Raw, Setting, param


class OwnEncoder(Encoder):
    """Mean red, green and blue of the cells of a grid: 3 · grid² values from 0 to 1."""

    modalities = ("image",)
    grid: int = param(4, "cells per side", least=1)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        about = {"model": f"mean colours on a grid of {self.grid} × {self.grid}", "version": 1}
        return Extractor(partial(mean_colours, grid=self.grid), np.stack, about)


def mean_colours(picture: Any, grid: int) -> np.ndarray:
    """(3 · grid²,) float32."""
    from PIL import Image

    small = picture.convert("RGB").resize((grid, grid), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255
