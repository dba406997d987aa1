"""Columns that form a matrix together by their names: img_0, img_1, ... beside txt_0, txt_1, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.datasets._words import meaning

_NUMBERED = re.compile(r"(.*?[A-Za-z])[ _.-]?(\d+)")


def groups(names: Sequence[str]) -> dict[str, list[int]]:
    """The places of the columns of each matrix, by the name without its number; others stand alone.

    >>> groups(["img_0", "img_1", "label"])
    {'img': [0, 1], 'label': [2]}
    """
    stems: dict[str, list[tuple[int, int]]] = {}
    for place, name in enumerate(names):
        match = _NUMBERED.fullmatch(name)
        stem, number = (match[1], int(match[2])) if match else (name, -1)
        stems.setdefault(stem, []).append((number, place))
    grouped: dict[str, list[int]] = {}
    for stem, members in stems.items():
        numbers = [number for number, _ in sorted(members)]
        if len(numbers) > 1 and numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
            grouped[stem] = [place for _, place in sorted(members)]
        else:
            grouped |= {names[place]: [place] for _, place in members}
    return grouped


def are_views(names: Sequence[str]) -> bool:
    """Whether some columns form the matrix of images, and others that of texts."""
    roles = {meaning(stem).role for stem, places in groups(names).items() if len(places) > 1}
    return {"image", "text"} <= roles
