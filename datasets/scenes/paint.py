"""Paints a scene: a textured or plain background, things with shading and a rim, and a little noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.datasets.scenes.shapes import SILHOUETTES
from bench.datasets.scenes.world import PLACES, Scenes

Plane = npt.NDArray[Any]  # float32
Pixels = npt.NDArray[np.uint8]

RGB = np.array(
    [
        (214, 40, 40),
        (245, 130, 30),
        (245, 210, 50),
        (50, 150, 60),
        (45, 90, 205),
        (140, 60, 165),
        (240, 240, 240),
        (30, 30, 32),
    ],
    np.float32,
)  # in the order of world.COLOURS
RADIUS = {False: 0.105, True: 0.145}  # small and large things, in widths of the picture
NOISE = 6.0  # standard deviation, in grey levels of 255
_RIM = 0.03  # in widths of the picture, as dark as the colour allows: white on snow stays visible


def paint(scenes: Scenes, row: int, size: int, rng: np.random.Generator) -> Pixels:
    """(size, size, 3) uint8 of one scene; ``rng`` draws texture, shades of colours and noise."""
    picture = _background(int(scenes.place[row]), int(scenes.paper[row]), size, rng)
    for thing in range(scenes.count[row]):
        _add(picture, scenes, row, thing, rng)
    picture += rng.standard_normal(picture.shape, np.float32) * np.float32(NOISE)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _add(picture: Plane, scenes: Scenes, row: int, thing: int, rng: np.random.Generator) -> None:
    """Blend one thing into ``picture``, in place."""
    size = len(picture)
    radius = RADIUS[bool(scenes.large[row, thing])] * size
    centre = np.array([scenes.x[row, thing], scenes.y[row, thing]]) * size
    low = np.maximum(np.floor(centre - radius - 1).astype(int), 0)
    high = np.minimum(np.ceil(centre + radius + 1).astype(int), size)
    x = (np.arange(low[0], high[0], dtype=np.float32) + 0.5 - np.float32(centre[0]))[None, :]
    y = (np.arange(low[1], high[1], dtype=np.float32) + 0.5 - np.float32(centre[1]))[:, None]
    cos, sin = (np.float32(f(scenes.tilt[row, thing]) / radius) for f in (np.cos, np.sin))
    inside = SILHOUETTES[scenes.kind[row, thing]](x * cos + y * sin, y * cos - x * sin) * np.float32(radius)
    colour = RGB[scenes.colour[row, thing]] + rng.uniform(-12, 12, 3).astype(np.float32)
    rim = colour * 0.5 if colour.sum() > 150 else colour + 90
    filled = np.clip(inside - _RIM * size / 2, 0, 1)[:, :, None]
    shown = np.clip(inside + 0.5, 0, 1)[:, :, None]
    light = 1 - y[:, :, None] * np.float32(0.12 / radius)
    patch = picture[low[1] : high[1], low[0] : high[0]]
    patch += shown * (filled * (colour * light) + (1 - filled) * rim - patch)


def _background(place: int, paper: int, size: int, rng: np.random.Generator) -> Plane:
    """(size, size, 3) float32: flat for plain paper, a texture of its own for every place."""
    x, y = _grid(size)
    if place < 0:
        pale = 0.45 * RGB[paper] + 0.55 * np.float32(200) + rng.uniform(-15, 15, 3).astype(np.float32)
        return (1 + np.float32(0.1) * (y - 0.5))[:, :, None] * pale
    base, texture = _TEXTURES[PLACES[place]]
    shade = np.float32(rng.uniform(-15, 15))
    return np.array(base, np.float32) + shade + texture(x, y, rng)[:, :, None]


def _grass(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    blades = rng.standard_normal(x.shape, np.float32)
    return 22 * (blades + np.roll(blades, 1, axis=0) + np.roll(blades, 2, axis=0)) / 1.7


def _sand(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    return 22 * rng.standard_normal(x.shape, np.float32)


def _sea(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(5, 8)
    return 24 * np.sin(2 * np.pi * waves * y + 1.5 * np.sin(2 * np.pi * 2 * x + phase), dtype=np.float32)


def _wall(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    course = np.floor(y * 8)
    mortar = (y * 8 - course < 0.2) | ((x * 4 + 0.5 * (course % 2) + rng.uniform()) % 1 < 0.1)
    return np.where(mortar, np.float32(55), np.float32(0))


def _night(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    return 150 * (rng.random(x.shape, np.float32) > 0.985) - 20 * y


def _snow(x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    return -45 * (rng.random(x.shape, np.float32) > 0.93).astype(np.float32)


_TEXTURES = {
    "grass": ((95, 150, 70), _grass),
    "sand": ((215, 190, 140), _sand),
    "sea": ((70, 130, 190), _sea),
    "wall": ((160, 85, 65), _wall),
    "night": ((35, 35, 75), _night),
    "snow": ((228, 234, 240), _snow),
}


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Plane, Plane]:
    """The centres of the pixels, (size, size) each, in widths of the picture."""
    steps = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size
    x, y = np.meshgrid(steps, steps)
    return x, y
