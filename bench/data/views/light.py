"""Light features of pictures, which need no network: Gabor energies, oriented gradients, colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.items import Features
from bench.data.views.extractor import Extractor
from bench.data.views.names import IMAGE, View

SIDE, MARGIN, OCTAVES, ORIENTATIONS, GRID = 128, 16, 4, 8, 4  # of the Gabor energies: 4 · 8 · 4² = 512
CENTRE, SPREAD = 0.3, 1.6  # of a filter, in cycles per pixel of its octave, and as a factor
Floats = npt.NDArray[np.float32]


def extractor(view: View) -> Extractor:
    one = {"gist": gist, "hog": hog, "colour": colour}[view.kind]
    return Extractor(one, _stacked, {"model": IMAGE[view.kind], "version": 1})


def _stacked(rows: Sequence[Any]) -> Features:
    return np.stack(rows)


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


def hog(picture: Any) -> Floats:
    """(1764,) histograms of oriented gradients: 9 orientations, 8 × 8 cells, 2 × 2 blocks, at 64 × 64."""
    from skimage.feature import hog as histograms

    grey = np.asarray(picture.convert("L").resize((64, 64)), np.float32) / 255
    found = histograms(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    return np.asarray(found, np.float32)


def colour(picture: Any) -> Floats:
    """(256,) joint histogram of hue (16), saturation (4) and value (4); square roots, so norm 1."""
    from skimage.color import rgb2hsv

    hsv = rgb2hsv(np.asarray(picture.convert("RGB").resize((64, 64))))
    bins = np.minimum((hsv * (16, 4, 4)).astype(np.intp), (15, 3, 3)) @ (16, 4, 1)
    counts = np.bincount(bins.ravel(), minlength=256)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)
