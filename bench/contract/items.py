"""Items as arrays: the batches, chunks and splits that methods and datasets pass around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.contract.pictures import Pictures
from bench.contract.shared import Shared

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, Modality] = ("image", "text")
Features = npt.NDArray[np.float32]  # (n, d)
Labels = npt.NDArray[np.uint8]  # (n, classes), 0 or 1; a row of zeros is an unlabelled item
Codes = npt.NDArray[np.int8]  # (n, bits), every value -1 or +1
Rows = npt.NDArray[np.intp]


def sign(x: npt.NDArray[Any]) -> Codes:
    """Binarise: +1 where ``x >= 0``, else -1, so that a zero is never a third symbol.

    >>> sign(np.array([[-0.5, 0.0, 2.0]]))
    array([[-1,  1,  1]], dtype=int8)
    """
    return np.where(x >= 0, 1, -1).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Batch:
    """n items seen through ONE modality: all that :meth:`Method.encode` may look at.

    ``features`` is (n, d) float32. ``views`` holds other features of the same items, for
    instance ``{"clip": (n, 512) float32}``; a method is given the views that it declares.
    ``absent`` (n,) is True where an item lacks this modality (zeros stand in its rows); None: nowhere.
    A method that declares them is also given ``pictures``, in a batch of images, or ``texts``, in one of
    texts.
    """

    features: Features
    views: Mapping[str, Features] = field(default_factory=dict)
    absent: npt.NDArray[np.bool_] | None = None
    pictures: Pictures | None = None
    texts: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether each item has this modality, (n,)."""
        return np.ones(len(self), dtype=bool) if self.absent is None else ~self.absent

    def take(self, rows: Rows | slice) -> Batch:
        absent = None if self.absent is None else self.absent[rows]
        pictures = None if self.pictures is None else self.pictures.take(rows)
        texts = None if self.texts is None else tuple(self.texts[i] for i in np.arange(len(self))[rows])
        views = {name: view[rows] for name, view in self.views.items()}
        return Batch(self.features[rows], views, absent, pictures, texts)

    def seen_as(self, view: str) -> Batch:
        """The same items with this view in place of the features; as they are where it is ""."""
        return replace(self, features=self.views[view]) if view else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Aligned rows of one part of a dataset: row i of every field is the same item.

    ``shared`` holds what cells that are shown the same items compute once. A method that declares them is
    given ``classes``, the names of the label columns, ``parents``, the name of each class's parent, and
    ``validation``, rows to choose by, not to learn from.
    """

    image: Batch
    text: Batch
    labels: Labels | None
    ids: Rows
    classes: tuple[str, ...] = ()
    validation: Rows | None = None
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)
    parents: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, modality: Modality) -> Batch:
        return self.image if modality == "image" else self.text

    def take(self, rows: Rows | slice) -> Split:
        labels = None if self.labels is None else self.labels[rows]
        image, text = self.image.take(rows), self.text.take(rows)
        return Split(
            image=image,
            text=text,
            labels=labels,
            ids=self.ids[rows],
            classes=self.classes,
            parents=self.parents,
        )

    def parts(self) -> tuple[Split, Split]:
        """The items to learn from, and those of ``validation``."""
        held = np.zeros(len(self), dtype=bool)
        held[self.validation if self.validation is not None else []] = True
        return self.take(np.flatnonzero(~held)), self.take(np.flatnonzero(held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(Split):
    """The items of one round. ``labels`` is None unless the method is supervised."""

    round: int
