"""Own dataset: a folder of pictures and a table in CSV."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import Card, DataError, Expected, Raw, RawSource, param


class OwnDataset(RawSource):
    """Pictures with captions and labels, from ``ROOT/own_dataset/items.csv`` and the pictures beside it.

    The table has the columns file, caption, labels (names, spaces between them) and part (train or query).
    """

    image: str = param("colour", "view of the pictures that is their features")
    text: str = param("bow:2", "view of the captions that is their features")
    clip: str | None = param(None, "CLIP as MODEL:WEIGHTS or FOLDER; none leaves it out")
    schedule = "shuffled:100"
    card = Card(
        name="own_dataset",
        title="Own dataset",
        sources=(),
        licence="ours, not published",
        citation="none yet",
        files=(Expected(path="items.csv", note="columns file, caption, labels, part"),),
    )

    def raw(self, root: Path) -> Raw:
        table = self.home(root) / "items.csv"
        try:
            with table.open(newline="", encoding="utf-8") as lines:
                rows = list(csv.DictReader(lines))
        except OSError as error:
            raise DataError(f"{table}: {error.strerror}. Put the table and the pictures there.") from error
        classes = sorted({name for row in rows for name in row["labels"].split()})
        labels = np.array([[name in row["labels"].split() for name in classes] for row in rows], np.uint8)
        parts = np.array([row["part"] for row in rows])
        return Raw(
            ids=np.arange(len(rows)),
            image=Pictures(self.home(root), [row["file"] for row in rows]),
            texts=[row["caption"] for row in rows],
            labels=labels,
            classes=tuple(classes),
            train=np.flatnonzero(parts == "train"),
            query=np.flatnonzero(parts == "query"),
        )


@dataclass(frozen=True)
class Pictures:
    """The picture of a row. A class and no lambda, so that processes that decode pictures can be given it."""

    home: Path
    names: list[str]

    def __call__(self, row: int) -> Any:
        from PIL import Image

        try:
            return Image.open(self.home / self.names[row]).convert("RGB")
        except OSError as error:
            raise DataError(f"{self.home / self.names[row]}: {error}. Copy the picture again.") from error

    def take(self, rows: Any) -> "Pictures":
        """The pictures of these rows, for methods that read pictures: they are shown no others."""
        return Pictures(self.home, [self.names[row] for row in rows])
