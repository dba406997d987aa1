"""Light features: known pictures give known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.encoders.colour import colour
from bench.encoders.gist import gist
from bench.encoders.hog import hog


def waves(angle: float, cycles_per_pixel: float) -> Image.Image:
    y, x = np.mgrid[:128, :128]
    turn = np.deg2rad(angle)
    phase = 2 * np.pi * cycles_per_pixel * (x * np.cos(turn) + y * np.sin(turn))
    return Image.fromarray((127 + 100 * np.sin(phase)).astype(np.uint8))


@pytest.mark.parametrize(
    ("angle", "cycles", "octave"), [(0, 0.3, 0), (45, 0.15, 1), (90, 0.075, 2), (135, 0.0375, 3)]
)
def test_gist_answers_most_where_orientation_and_octave_are_those_of_the_waves(
    angle: float, cycles: float, octave: int
) -> None:
    energies = gist(waves(angle, cycles)).reshape(4, 8, 16).mean(axis=2)
    assert np.unravel_index(energies.argmax(), energies.shape) == (octave, angle * 8 / 180)


def test_gist_sees_where_in_the_picture_something_is() -> None:
    half = np.asarray(waves(0, 0.3)).copy()
    half[:, 64:] = 127
    left, right = np.split(gist(Image.fromarray(half)).reshape(4, 8, 4, 4)[0, 0], 2, axis=1)
    assert left.min() > 3 * right[:, 1].max()


def test_gist_does_not_change_with_brightness_and_contrast() -> None:
    plain = np.asarray(waves(30, 0.1), np.float32)
    other = Image.fromarray((plain * 0.5 + 60).astype(np.uint8))
    np.testing.assert_allclose(gist(other), gist(waves(30, 0.1)), atol=0.02)


def test_a_flat_picture_has_no_gist() -> None:
    assert not gist(Image.new("L", (40, 40), 200)).any()


def test_a_red_picture_is_one_bin_of_colour() -> None:
    found = colour(Image.new("RGB", (9, 9), (255, 0, 0)))
    assert (found.max(), (found > 0).sum(), int(found.argmax())) == (1.0, 1, 15)


@pytest.mark.parametrize(("encode", "width"), [(gist, 512), (hog, 1764), (colour, 256)])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "RGBA"])
def test_any_mode_and_shape_of_picture_is_fine(encode: Any, width: int, mode: Any) -> None:
    found = encode(Image.new("RGB", (31, 77), (10, 120, 30)).convert(mode))
    assert (found.shape, found.dtype, bool(np.isfinite(found).all())) == ((width,), np.float32, True)
