"""512 Gabor energies, 32 filters on a 4 × 4 grid: like GIST, not its authors' code."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import Encoder, Extractor, Modality, Raw, Setting

SIDE, MARGIN, OCTAVES, ORIENTATIONS, GRID = 128, 16, 4, 8, 4  # of the Gabor energies: 4 · 8 · 4² = 512
CENTRE, SPREAD = 0.3, 1.6  # of a filter, in cycles per pixel of its octave, and as a factor
Floats = npt.NDArray[np.float32]


class Gist(Encoder):
    """How much of each frequency and orientation the 16 parts of a picture have."""

    modalities = ("image",)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        about = {
            "model": "512 Gabor energies, 32 filters on a 4 × 4 grid: like GIST, not its authors' code",
            "version": 1,
        }
        return Extractor(gist, np.stack, about)


def gist(picture: Any) -> Floats:
    """(512,) mean magnitudes of 32 Gabor filters in the cells of a 4 × 4 grid.

    After A. Oliva and A. Torralba, Modeling the Shape of the Scene, IJCV 2001: our filters (log-Gabor,
    four octaves, eight orientations) on the grey picture at 128 × 128, mean 0 and sd 1. It is not the
    authors' descriptor, so figures do not compare with those on "512-d GIST". An octave is filtered at
    the size that holds its frequencies.
    """
    from scipy import fft

    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE)), np.float32)
    grey = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    spectrum = fft.fft2(np.pad(grey, MARGIN, mode="symmetric"))
    found = []
    for octave, bank in enumerate(_banks()):
        size, edge = len(spectrum) >> octave, MARGIN >> octave
        low = np.r_[: size // 2, len(spectrum) - size // 2 : len(spectrum)]
        responses = np.abs(fft.ifft2(spectrum[np.ix_(low, low)] * bank)) / 4**octave
        inner = responses[:, edge : size - edge, edge : size - edge]
        cell = inner.shape[1] // GRID
        found.append(inner.reshape(ORIENTATIONS, GRID, cell, GRID, cell).mean(axis=(2, 4)).ravel())
    return np.concatenate(found).astype(np.float32)


@cache
def _banks() -> tuple[Floats, ...]:
    """Per octave (8, n, n) transfer functions: Gaussian in log frequency and angle, half of the plane."""
    banks = []
    for octave in range(OCTAVES):
        size = (SIDE + 2 * MARGIN) >> octave
        y, x = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        radius[0, 0] = 1
        radial = np.exp(-(np.log(radius / CENTRE) ** 2) / (2 * np.log(SPREAD) ** 2))
        radial[0, 0] = 0
        off = angle - np.pi * np.arange(ORIENTATIONS)[:, None, None] / ORIENTATIONS
        off = np.arctan2(np.sin(off), np.cos(off))
        banks.append((radial * np.exp(-(off**2) / (2 * (np.pi / ORIENTATIONS) ** 2))).astype(np.float32))
    return tuple(banks)
