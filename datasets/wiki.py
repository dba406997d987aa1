"""Wikipedia featured articles: 2866 image–text pairs of ten classes, from the usual wikiData.mat."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import Batch, Dataset, DatasetSource, Split
from bench.datasets import _mat
from bench.errors import DataError
from bench.validate import finite

SHAPES = {
    "I_tr": (2173, 128),
    "T_tr": (2173, 10),
    "L_tr": (2173, 1),
    "I_te": (693, 128),
    "T_te": (693, 10),
    "L_te": (693, 1),
}
CLASSES = (
    "art",
    "biology",
    "geography",
    "history",
    "literature",
    "media",
    "music",
    "royalty",
    "sport",
    "warfare",
)


class Wiki(DatasetSource):
    """2173 train and 693 query pairs; images 128-d SIFT bags of words, texts 10-d LDA topics.

    The split is the authors'. Reads ``wikiData.mat`` (any case) in the data root or in its
    folder ``wiki``, with the variables I_tr, T_tr, L_tr, I_te, T_te and L_te (class 1 to 10).
    """

    schedule: ClassVar[str] = "shuffled:400"
    citation: ClassVar[str] = (
        "N. Rasiwasia, J. Costa Pereira, E. Coviello, G. Doyle, G. R. G. Lanckriet, R. Levy and "
        "N. Vasconcelos. A New Approach to Cross-Modal Multimedia Retrieval. ACM Multimedia, 2010."
    )
    licence: ClassVar[str] = (
        "none stated for the features; Wikipedia's texts are CC BY-SA, its images have licences of their own"
    )

    def files(self, root: Path) -> list[Path]:
        return [_find(root)]

    def load(self, root: Path) -> Dataset:
        path = _find(root)
        found = _mat.variables(path)
        for name, shape in SHAPES.items():
            if name not in found or found[name].shape != shape:
                got = (
                    f"shape {found[name].shape}"
                    if name in found
                    else f"missing among {', '.join(sorted(found))}"
                )
                raise DataError(
                    f"{path}: variable {name}: {got}; expected shape {shape}. Get the usual wikiData.mat, or "
                    "read another split with the dataset 'files'."
                )
        arrays = {name: found[name].read() for name in SHAPES}
        return Dataset(
            name="wiki",
            train=_split(path, arrays, "tr", first_id=0),
            query=_split(path, arrays, "te", first_id=SHAPES["I_tr"][0]),
            classes=CLASSES,
            notes=(
                f"read {path.name}: {', '.join(SHAPES)}",
                "class numbers 1 to 10 became ten label columns",
            ),
        )


def _find(root: Path) -> Path:
    for folder in (root, root / "wiki"):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.name.lower() == "wikidata.mat":
                    return path
    raise DataError(
        f"{root}: no wikiData.mat, nor wiki/wikiData.mat; expected the bundle that code of the field passes "
        "around, with I_tr, T_tr, L_tr, I_te, T_te, L_te (for example from github.com/starxliu/FDDH). "
        "Download it, name it wikiData.mat and give its folder as --data-root."
    )


def _split(path: Path, arrays: dict[str, npt.NDArray[Any]], part: str, *, first_id: int) -> Split:
    features = {}
    for name in (f"I_{part}", f"T_{part}"):
        features[name[0]] = arrays[name].astype(np.float32)
        finite(f"{path}, variable {name}", features[name[0]])
    numbers = arrays[f"L_{part}"].ravel()
    wrong = ~np.isin(numbers, np.arange(1, len(CLASSES) + 1))
    if wrong.any():
        raise DataError(
            f"{path}: variable L_{part}: row {int(wrong.argmax())} is class {numbers[wrong][0]}; expected 1 "
            f"to {len(CLASSES)}. Get the usual wikiData.mat."
        )
    labels = np.zeros((len(numbers), len(CLASSES)), np.uint8)
    labels[np.arange(len(numbers)), numbers.astype(np.intp) - 1] = 1
    ids = np.arange(first_id, first_id + len(numbers), dtype=np.intp)
    return Split(image=Batch(features["I"]), text=Batch(features["T"]), labels=labels, ids=ids)
