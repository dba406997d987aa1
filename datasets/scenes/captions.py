"""Describes a scene in one sentence, with synonyms, varied order, relations, omissions and filler words.

A caption never mentions what the scene does not show, and may omit much of what it shows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import numpy as np

from bench.datasets.scenes.world import COLOURS, KINDS, PLACES, Scenes

T = TypeVar("T")

NOUNS = {
    "ball": ("ball", "disc", "circle"),
    "box": ("box", "square", "block"),
    "triangle": ("triangle", "pyramid", "wedge"),
    "star": ("star", "pentagram"),
    "ring": ("ring", "hoop", "loop"),
    "cross": ("cross", "plus sign"),
    "heart": ("heart", "valentine"),
    "moon": ("moon", "crescent"),
    "flower": ("flower", "blossom", "daisy"),
    "house": ("house", "hut", "cottage"),
    "tree": ("tree", "fir", "pine"),
    "fish": ("fish", "goldfish", "minnow"),
}
VAGUE = ("thing", "shape", "object", "toy")
ADJECTIVES = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "tangerine"),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "blue": ("blue", "navy"),
    "purple": ("purple", "violet"),
    "white": ("white", "snowy"),
    "black": ("black", "dark"),
}
SIZES = {False: ("small", "little", "tiny"), True: ("big", "large")}
SETTINGS = {
    "grass": ("on grass", "in a meadow", "on the lawn", "in the garden"),
    "sand": ("on sand", "on the beach", "in the desert"),
    "sea": ("in the water", "at sea", "among waves"),
    "wall": ("on a brick wall", "in front of bricks", "against masonry"),
    "night": ("at night", "under the stars", "in the dark sky"),
    "snow": ("in the snow", "in winter", "on ice"),
}
PAPER = ("on {} paper", "on a {} background", "in front of a {} curtain")
OPENINGS = (
    "a picture of",
    "a photo of",
    "a drawing of",
    "here is",
    "look:",
    "my favourite,",
    "this shows",
    "you can see",
)
CLOSINGS = ("for sale", "on monday", "by my sister", "again", "as promised", "number seven", "from holiday")
BESIDE = ("next to", "near", "beside", "with", "and")


def caption(scenes: Scenes, row: int, rng: np.random.Generator) -> str:
    """One caption of one scene, in lower case; ``rng`` draws its content and wording."""
    things = rng.permutation(int(scenes.count[row]))
    said = things[: max(1, int((rng.random(len(things)) < 0.85).sum()))]
    parts = [_thing(scenes, row, int(said[0]), rng)]
    for one, other in pairwise(said.tolist()):
        parts += [_relation(scenes, row, one, other, rng), _thing(scenes, row, other, rng)]
    if rng.random() < 0.5:
        parts.insert(0, _one(OPENINGS, rng))
    sentence = " ".join(parts)
    where = _setting(scenes, row, rng)
    if where:
        sentence = f"{where}, {sentence}" if rng.random() < 0.25 else f"{sentence} {where}"
    return f"{sentence} {_one(CLOSINGS, rng)}" if rng.random() < 0.2 else sentence


def _thing(scenes: Scenes, row: int, thing: int, rng: np.random.Generator) -> str:
    """An article, perhaps size and colour, and a noun, which may be vague."""
    words = []
    if rng.random() < 0.35:
        words.append(_one(SIZES[bool(scenes.large[row, thing])], rng))
    if rng.random() < 0.55:
        words.append(_one(ADJECTIVES[COLOURS[scenes.colour[row, thing]]], rng))
    nouns = VAGUE if rng.random() < 0.15 else NOUNS[KINDS[scenes.kind[row, thing]]]
    words.append(_one(nouns, rng))
    article = "the" if rng.random() < 0.15 else "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def _relation(scenes: Scenes, row: int, one: int, other: int, rng: np.random.Generator) -> str:
    """The position of ``one`` relative to ``other``: the larger offset, or only that it is nearby."""
    if rng.random() < 0.4:
        return _one(BESIDE, rng)
    right = float(scenes.x[row, one] - scenes.x[row, other])
    down = float(scenes.y[row, one] - scenes.y[row, other])
    if abs(right) > abs(down):
        return _one(("right of", "to the right of") if right > 0 else ("left of", "to the left of"), rng)
    return _one(("below", "under", "beneath") if down > 0 else ("above", "over"), rng)


def _setting(scenes: Scenes, row: int, rng: np.random.Generator) -> str:
    """The setting, or "": the place in most captions, the colour of the paper in some."""
    place = int(scenes.place[row])
    if place >= 0:
        return _one(SETTINGS[PLACES[place]], rng) if rng.random() < 0.7 else ""
    colour = _one(ADJECTIVES[COLOURS[scenes.paper[row]]], rng)
    return _one(PAPER, rng).format(f"faded {colour}") if rng.random() < 0.4 else ""


def _one(choices: tuple[T, ...], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]
