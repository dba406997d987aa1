"""The twelve silhouettes: how far a point lies inside a shape of radius 1, negative outside.

Points are (u, v), v downwards, any arrays of one shape. Values are distances only near the edge, where they
make it smooth; elsewhere only their sign counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]  # float32


def ball(u: Plane, v: Plane) -> Plane:
    return 0.92 - np.hypot(u, v)


def box(u: Plane, v: Plane) -> Plane:
    return _rectangle(u, v, 0.8, 0.8)


def triangle(u: Plane, v: Plane) -> Plane:
    return _wedge(u, v + 0.95, 0.6, 1.7)


def star(u: Plane, v: Plane) -> Plane:
    wide, radius = math.pi / 5, np.hypot(u, v)
    turn = np.arctan2(u, -v) / (2 * wide)
    angle = np.abs(turn - np.round(turn)) * (2 * wide)  # from the nearest point of the star, 0 to 36°
    right, up = 0.42 * math.sin(wide), 0.42 * math.cos(wide) - 1  # from that point to the notch beside it
    across, along = radius * np.sin(angle), radius * np.cos(angle) - 1
    return (across * up - along * right) / math.hypot(right, up)


def ring(u: Plane, v: Plane) -> Plane:
    return 0.24 - np.abs(np.hypot(u, v) - 0.7)


def cross(u: Plane, v: Plane) -> Plane:
    return np.maximum(_rectangle(u, v, 0.28, 0.95), _rectangle(u, v, 0.95, 0.28))


def heart(u: Plane, v: Plane) -> Plane:
    lobes = 0.5 - np.hypot(np.abs(u) - 0.44, v + 0.35)
    return np.maximum(lobes, np.minimum(_wedge(u, 0.95 - v, 0.72, 2.0), v + 0.35))


def moon(u: Plane, v: Plane) -> Plane:
    return np.minimum(0.95 - np.hypot(u, v), np.hypot(u - 0.5, v + 0.15) - 0.75)


def flower(u: Plane, v: Plane) -> Plane:
    radius = np.hypot(u, v)
    petals = 0.66 + 0.3 * np.cos(5 * np.arctan2(u, -v)) - radius
    return np.minimum(0.7 * petals, radius - 0.17)


def house(u: Plane, v: Plane) -> Plane:
    walls = np.minimum(_rectangle(u, v - 0.4, 0.62, 0.5), -_rectangle(u, v - 0.65, 0.18, 0.3))
    return np.maximum(walls, _wedge(u, v + 0.95, 1.0, 0.95))


def tree(u: Plane, v: Plane) -> Plane:
    crown = np.maximum(_wedge(u, v + 1, 0.6, 0.95), _wedge(u, v + 0.5, 0.6, 1.1))
    return np.maximum(crown, _rectangle(u, v - 0.75, 0.14, 0.25))


def fish(u: Plane, v: Plane) -> Plane:
    body = 0.5 * (1 - np.hypot((u + 0.2) / 0.78, v / 0.5))
    tail = _wedge(v, u - 0.35, 0.8, 0.6)
    eye = 0.12 - np.hypot(u + 0.58, v + 0.1)
    return np.minimum(np.maximum(body, tail), -eye)


def _rectangle(u: Plane, v: Plane, half_width: float, half_height: float) -> Plane:
    return np.minimum(half_width - np.abs(u), half_height - np.abs(v))


def _wedge(across: Plane, along: Plane, slope: float, length: float) -> Plane:
    """A triangle with its tip at the origin that opens along an axis and ends after ``length``."""
    return np.minimum((slope * along - np.abs(across)) / math.hypot(1, slope), length - along)


SILHOUETTES: tuple[Callable[[Plane, Plane], Plane], ...] = (
    ball,
    box,
    triangle,
    star,
    ring,
    cross,
    heart,
    moon,
    flower,
    house,
    tree,
    fish,
)  # in the order of world.KINDS
