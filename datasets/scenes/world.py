"""The content of a scene: things with kind, colour, size and position, in a place; drawn by seed, in blocks.

Kinds depend on the place and colours on the kind, so that labels are correlated and colours informative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from bench.api import Labels, Rows

Ints = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]

KINDS = (
    "ball",
    "box",
    "triangle",
    "star",
    "ring",
    "cross",
    "heart",
    "moon",
    "flower",
    "house",
    "tree",
    "fish",
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
PLACES = ("grass", "sand", "sea", "wall", "night", "snow")  # place -1 is none of them: plain paper
CLASSES = KINDS + PLACES

BLOCK = 4096  # scenes drawn from one generator: part of the definition, not a matter of speed
SCENES, PIXELS, WORDS = range(3)  # purposes of random numbers
TRAIN, QUERY, LEARN, CHECK = range(4)  # parts: two of a dataset; two to train and to watch the small CLIP
THINGS = 4  # at most in one scene
COUNTS = (0.30, 0.40, 0.22, 0.08)  # share of scenes with one, two, three and four things
PLAIN = 0.5  # share of scenes on plain paper, in one of the colours
TYPICAL = 0.5  # share of things in the typical colour of their kind

_COMMON = (6, 6, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3)  # relative frequency of the kinds
_AT_HOME = {  # kinds three times as frequent in a place
    "grass": ("flower", "house", "tree"),
    "sand": ("ball", "star", "ring"),
    "sea": ("fish", "star", "ring"),
    "wall": ("box", "cross", "heart"),
    "night": ("moon", "star", "house"),
    "snow": ("tree", "house", "ball"),
}
_TYPICAL = {
    "ball": "red",
    "box": "blue",
    "triangle": "purple",
    "star": "yellow",
    "ring": "orange",
    "cross": "black",
    "heart": "red",
    "moon": "white",
    "flower": "purple",
    "house": "white",
    "tree": "green",
    "fish": "orange",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """n scenes; row i of every field is one scene, and its first ``count[i]`` columns are its things.

    A thing's centre is ``x`` to the right and ``y`` down, in widths of the picture; ``tilt`` is in radians.
    No two things of a scene have the same kind, and none overlap.
    """

    place: Ints  # (n,): a column of PLACES, or -1
    paper: Ints  # (n,): a column of COLOURS, seen where the place is -1
    count: Ints  # (n,): 1 to THINGS
    kind: Ints  # (n, THINGS)
    colour: Ints  # (n, THINGS)
    large: npt.NDArray[np.bool_]  # (n, THINGS)
    x: Floats  # (n, THINGS)
    y: Floats  # (n, THINGS)
    tilt: Floats  # (n, THINGS)

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: Rows | slice) -> Scenes:
        return Scenes(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def generator(seed: int, part: int, what: int, number: int) -> np.random.Generator:
    """The generator for block ``number`` (SCENES) or item ``number`` (PIXELS, WORDS) of a part."""
    return np.random.default_rng([seed, part, what, number])


def draw(seed: int, part: int, n: int, start: int = 0) -> Scenes:
    """Draw scenes ``start`` to ``start + n`` of a part; scene i does not depend on the range."""
    first, last = start // BLOCK, -(-(start + n) // BLOCK)
    blocks = [_block(generator(seed, part, SCENES, number)) for number in range(first, last)]
    return join(*blocks).take(slice(start - first * BLOCK, start - first * BLOCK + n))


def join(*parts: Scenes) -> Scenes:
    return Scenes(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Scenes)})


def labels(scenes: Scenes) -> Labels:
    """(n, classes): the kinds of the things and, unless it is plain, the place; columns are CLASSES."""
    matrix = np.zeros((len(scenes), len(CLASSES)), np.uint8)
    row, column = np.nonzero(np.arange(THINGS) < scenes.count[:, None])
    matrix[row, scenes.kind[row, column]] = 1
    somewhere = np.flatnonzero(scenes.place >= 0)
    matrix[somewhere, len(KINDS) + scenes.place[somewhere]] = 1
    return matrix


def _block(rng: np.random.Generator) -> Scenes:
    place = rng.integers(len(PLACES), size=BLOCK)
    place[rng.random(BLOCK) < PLAIN] = -1
    # Weighted draws without replacement: the largest of log weight + Gumbel noise.
    kind = np.argsort(-(_log_weights()[place] + rng.gumbel(size=(BLOCK, len(KINDS)))), axis=1)[:, :THINGS]
    typical = np.array([COLOURS.index(_TYPICAL[k]) for k in KINDS])
    any_colour = rng.integers(len(COLOURS), size=(BLOCK, THINGS))
    colour = np.where(rng.random((BLOCK, THINGS)) < TYPICAL, typical[kind], any_colour)
    cell = rng.random((BLOCK, 9)).argsort(axis=1)[:, :THINGS]  # of a 3 × 3 grid: things do not overlap
    shift = rng.uniform(-0.02, 0.02, (2, BLOCK, THINGS))
    return Scenes(
        place=place.astype(np.int8),
        paper=rng.integers(len(COLOURS), size=BLOCK).astype(np.int8),
        count=(1 + rng.choice(THINGS, BLOCK, p=COUNTS)).astype(np.int8),
        kind=kind.astype(np.int8),
        colour=colour.astype(np.int8),
        large=rng.random((BLOCK, THINGS)) < 0.5,
        x=((1 + 2 * (cell % 3)) / 6 + shift[0]).astype(np.float32),
        y=((1 + 2 * (cell // 3)) / 6 + shift[1]).astype(np.float32),
        tilt=rng.uniform(-0.3, 0.3, (BLOCK, THINGS)).astype(np.float32),
    )


def _log_weights() -> npt.NDArray[np.float64]:
    """(places + 1, kinds); the last row, at index -1, is for plain paper."""
    weights = np.tile(np.array(_COMMON, np.float64), (len(PLACES) + 1, 1))
    for place, kinds in _AT_HOME.items():
        weights[PLACES.index(place), [KINDS.index(k) for k in kinds]] *= 3
    return np.log(weights)
