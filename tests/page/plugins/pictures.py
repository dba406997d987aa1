"""Fifty pairs of a colour and its name, with what a careless page would run as code."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.api import Batch, Dataset, DatasetSource, Raw, Split
from bench.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = ("crimson", "seagreen", "royalblue", "gold")
CLASSES = ("red", "green", "<img src=x onerror='window.pwned=1'>", "yellow")


def _labels() -> np.ndarray:
    return np.eye(4, dtype=np.uint8)[np.arange(60) % 4]


def _picture(row: int) -> "Image":
    from PIL import Image

    if row == 3:
        raise DataError("3.jpg is broken <script>window.pwned=1</script>")
    return Image.new("RGB", (40, 30), COLOURS[row % 4])


class Pictures(DatasetSource):
    """Coloured rectangles."""

    schedule = "shuffled:20"

    def raw(self, root: Path) -> Raw:
        return Raw(
            ids=np.arange(60) + 100,
            image=_picture,
            texts=[
                f"a {COLOURS[i % 4]} </script><script>window.pwned=1</script> sheet {i}" for i in range(60)
            ],
            labels=_labels(),
            classes=CLASSES,
            train=np.arange(50),
            query=np.arange(50, 60),
        )

    def load(self, root: Path) -> Dataset:
        rng = np.random.default_rng(0)
        labels = _labels()
        sides = [
            (labels @ rng.standard_normal((4, 9)) + 0.5 * rng.standard_normal((60, 9))).astype(np.float32)
            for _ in range(2)
        ]
        whole = Split(image=Batch(sides[0]), text=Batch(sides[1]), labels=labels, ids=np.arange(60) + 100)
        return Dataset(
            name="pictures", train=whole.take(slice(50)), query=whole.take(slice(50, 60)), classes=CLASSES
        )
