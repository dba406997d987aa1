"""Stored histograms, by direction, round and part of the database.

The trap: counts are stored in the smallest type that holds them, which their sum over two parts may exceed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.scoring.hamming import Histograms

Arrays = Mapping[str, npt.NDArray[Any]]
TYPES: Mapping[str, type[np.unsignedinteger[Any]]] = {
    "counts": np.uint32,
    "gains": np.uint64,
    "grades": np.uint32,
}
DELETED = "deleted-"  # before the name of a part: the items of that kind which have left the database


def prefix(direction: str, round_: int, part: str) -> str:
    """The head of the names under which the histograms of one search are stored: ``i2t/5/unseen``."""
    return f"{direction}/{round_}" + (f"/{part}" if part != "all" else "")


def histograms(
    arrays: Arrays, direction: str, round_: int, part: str = "all", *, graded: bool = True
) -> Histograms:
    """The histograms of one search over a part of the database, one of ``bench.records.PARTS``.

    ``all`` is the sum of ``trained`` and ``unseen`` where those are stored. Without ``graded`` only counts
    are read. Raises KeyError for arrays that are not stored.
    """
    if part == "all" and f"{prefix(direction, round_, 'trained')}/counts" in arrays:
        trained, unseen = (
            histograms(arrays, direction, round_, one, graded=graded) for one in ("trained", "unseen")
        )
        return trained + unseen
    names = TYPES if graded else ("counts",)
    head = prefix(direction, round_, part)
    wide = {name: arrays[f"{head}/{name}"].astype(TYPES[name]) for name in names}
    return Histograms(**wide)
