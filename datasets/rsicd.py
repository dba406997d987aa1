"""RSICD: 10,921 aerial photos with five captions each, and 30 kinds of scenes as labels.

Trap: many photos have a number for a name; their class is only in the owners' lists.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Raw, RawSource, param
from bench.datasets import _captions, _official, _pictures

CARD = Card(
    name="rsicd",
    title="RSICD, Remote Sensing Image Captioning Dataset",
    sources=("https://github.com/201528014227051/RSICD_optimal",),
    licence="none stated; the photos come from Google Earth, Baidu Map, MapABC and Tianditu",
    citation=(
        "X. Lu, B. Wang, X. Zheng and X. Li. Exploring Models and Data for Remote Sensing Image Caption "
        "Generation. IEEE Transactions on Geoscience and Remote Sensing 56, 2018."
    ),
    files=(
        Expected(path="dataset_rsicd.json", note="captions and splits, from the owners' repository"),
        Expected(path="RSICD_images.zip", note="the photos, read from the zip or from its folder"),
        Expected(
            path="txtclasses_rsicd.rar",
            optional=True,
            note="one list of photos per class: unpack it by hand. Without it only names give classes",
        ),
    ),
    counts={"": Counts(pairs=9827, queries=1093, classes=30)},
)


class Rsicd(RawSource):
    """8734 training and 1093 test photos; the 1094 of val are left out.

    Reads ``dataset_rsicd.json``, the photos and the class lists ``txtclasses_rsicd/CLASS.txt`` below
    ``ROOT/rsicd``. A text is all captions of a photo. The class of a photo is the list that names it; a photo
    on no list has the class that its name begins with (``airport_12.jpg``), and is left out if its name is a
    number.
    """

    image: str = param("resnet50", "view to use as image features")
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        path = _official.expect(home, "dataset_rsicd.json", "the owners' captions and splits")
        captions, parts = _captions.of_karpathy(path)
        listed = _lists(home)
        kinds = {name: kind for name in captions if (kind := listed.get(name) or _prefix(name))}
        names = [name for part in ("train", "test") for name in parts[part]]
        usable = [name for name in names if captions[name] and name in kinds]
        pictures, rows, missing = _pictures.choose(home, _pictures.gather(home), usable)
        chosen = [usable[i] for i in rows]
        if not chosen:
            raise DataError(
                f"{path}: no photo of train or test has a caption and a class; expected 9827. Unpack "
                "txtclasses_rsicd.rar beside it."
            )
        classes = sorted({kinds[name] for name in chosen})
        asked, numbers = set(parts["test"]), {name: i for i, name in enumerate(captions)}
        is_query = np.array([name in asked for name in chosen])
        counts = Counts(pairs=len(chosen), queries=int(is_query.sum()), classes=len(classes))
        lost = len(names) - len(usable)
        dropped = f"left out, without a class or a caption: {lost}" if lost else ""
        return Raw(
            ids=np.array([numbers[name] for name in chosen], dtype=np.intp),
            image=pictures,
            texts=[" ".join(captions[name]) for name in chosen],
            labels=np.array([[kinds[name] == kind for kind in classes] for name in chosen], dtype=np.uint8),
            classes=tuple(classes),
            train=np.flatnonzero(~is_query),
            query=np.flatnonzero(is_query),
            notes=tuple(filter(None, (dropped, missing, *counts.differences(CARD.counts[""])))),
        )


def _lists(home: Path) -> dict[str, str]:
    """The class of every photo on the owners' lists; empty if the lists are missing."""
    folder = _official.find(home, "txtclasses_rsicd")
    if folder is None or not folder.is_dir():
        return {}
    return {
        name: path.stem.lower() for path in sorted(folder.glob("*.txt")) for name in _official.lines(path)
    }


def _prefix(name: str) -> str:
    """The letters that a photo's name begins with, in lower case.

    >>> _prefix("baseballfield_12.jpg"), _prefix("00623.jpg")
    ('baseballfield', '')
    """
    match = re.match(r"[A-Za-z]+(?=_\d+\.)", name)
    return match[0].lower() if match else ""
