"""XMedia: images and texts of 20 classes, as the feature files that SKDCH's code reads.

Trap: beside the features lie lists of paths that numpy pickled; they are not needed, and never opened.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.api import (
    Batch,
    Card,
    Counts,
    DataError,
    Dataset,
    DatasetSource,
    Expected,
    Labels,
    Split,
    finite,
)
from bench.datasets._reading import folder
from bench.datasets._reading.variable import Array

PARTS = ("database", "test")
CARD = Card(
    name="xmedia",
    title="XMedia, features of its images and texts",
    sources=(
        "http://www.icst.pku.edu.cn/mipl/XMedia",
        "https://github.com/YSU-ISU-Lab/SKDCH_TMM2023",
    ),
    licence="none stated; the owners give the data for research, on request",
    citation=(
        "X. Zhai, Y. Peng and J. Xiao. Learning Cross-Media Joint Representation with Sparse and "
        "Semisupervised Regularization. IEEE Transactions on Circuits and Systems for Video Technology "
        "24, 2014."
    ),
    files=tuple(
        Expected(path=name.format(part), note=note)
        for part in PARTS
        for name, note in (
            ("img_{}.npy", "image features, 4096 columns in SKDCH"),
            ("texts_{}.npy", "text features, 3000 columns in SKDCH"),
            ("labels_{}_img.npy", "20 columns of 0 and 1"),
            ("labels_{}_txt.npy", "the same labels, row by row"),
        )
    ),
    counts={"": Counts(classes=20)},
)


class Xmedia(DatasetSource):
    """The pairs of SKDCH's database as the stream, those of its test part as queries.

    Reads ``img_PART.npy``, ``texts_PART.npy``, ``labels_PART_img.npy`` and ``labels_PART_txt.npy`` below
    ``ROOT/xmedia``, for the parts database and test. Row i of all four is one pair; an image and a text of
    different classes are refused. SKDCH trains on a third part, ``retrieval``, which is not read.
    """

    schedule = "shuffled:400"
    card = CARD

    def files(self, root: Path) -> list[Path]:
        return [root / "xmedia" / file.path for file in CARD.files]

    def load(self, root: Path) -> Dataset:
        train = _split(root / "xmedia", "database", first_id=0)
        query = _split(root / "xmedia", "test", first_id=len(train.ids))
        assert train.labels is not None
        classes = train.labels.shape[1]
        return Dataset(
            name="xmedia",
            train=train,
            query=query,
            classes=tuple(f"class {c + 1}" for c in range(classes)),
            notes=(
                "read as SKDCH's code does: database and test",
                *Counts(classes=classes).differences(CARD.counts[""]),
            ),
        )


def _split(home: Path, part: str, *, first_id: int) -> Split:
    image, text = (_features(home / f"{name}_{part}.npy") for name in ("img", "texts"))
    labels, again = (_labels(home / f"labels_{part}_{name}.npy") for name in ("img", "txt"))
    if not len(image) == len(text) == len(labels) == len(again):
        raise DataError(
            f"{home}: the files of {part} have {len(image)}, {len(text)}, {len(labels)} and {len(again)} "
            "rows; expected equal numbers of images, texts and both labels. Copy all files from one place."
        )
    if not np.array_equal(labels, again):
        row = int((labels != again).any(axis=1).argmax())
        raise DataError(
            f"{home / f'labels_{part}_txt.npy'}: row {row} differs from labels_{part}_img.npy; expected "
            "pairs of one class, row by row. Sort both files alike."
        )
    ids = np.arange(first_id, first_id + len(labels), dtype=np.intp)
    return Split(image=Batch(image), text=Batch(text), labels=labels, ids=ids)


def _features(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    features = _matrix(path).astype(np.float32)
    finite(str(path), features)
    return features


def _labels(path: Path) -> Labels:
    labels = _matrix(path)
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"{path}: holds more than 0 and 1; expected one column per class. Copy the file again."
        )
    return labels.astype(np.uint8)


def _matrix(path: Path) -> Array:
    """The matrix of one .npy file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a matrix. Run: bench data info xmedia")
    (variable,) = folder.variables(path).values()
    array = variable.read()
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: has shape {array.shape} of {array.dtype}; expected a matrix of numbers, a row per "
            "item. Copy the file again."
        )
    return array
