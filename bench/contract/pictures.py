"""Pictures of items, decoded one by one when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

_BLANK = 32  # width and height of the black picture of an item that lacks one


class Reader(Protocol):
    """``Raw.image`` of a dataset whose pictures methods may read: it can be cut down to some rows."""

    def __call__(self, row: int, /) -> Image: ...

    def take(self, rows: Any, /) -> Reader:
        """The pictures of these rows (n,), renumbered from 0, and no trace of the others."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of n items. ``pictures[i]`` decodes the i-th: uint8 (height, width, 3), RGB.

    ``reader`` has them under ``rows`` (n,); where a row is -1 the item lacks its picture, and is black.
    """

    reader: Reader
    rows: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> npt.NDArray[np.uint8]:
        return np.array(self.open(i), dtype=np.uint8)

    def open(self, i: int) -> Image:
        """The i-th picture as Pillow has it, which transforms of torchvision and open_clip expect."""
        from PIL import Image as Pillow

        row = int(self.rows[i])
        return Pillow.new("RGB", (_BLANK, _BLANK)) if row < 0 else self.reader(row)

    def take(self, rows: npt.NDArray[np.intp] | slice) -> Pictures:
        return Pictures(self.reader, self.rows[rows])

    def mapped(self, transform: Callable[[Image], Any]) -> Mapped:
        """A dataset for torch: ``DataLoader(batch.pictures.mapped(preprocess), batch_size=64)``.

        Without ``generator=torch.Generator()`` the loader draws from torch's global generator.
        """
        return Mapped(self, transform)

    def without(self, absent: npt.NDArray[np.bool_]) -> Pictures:
        """The same items without the pictures where ``absent`` (n,) is True."""
        return Pictures(self.reader, np.where(absent, -1, self.rows))

    def alone(self) -> Self:
        """The same pictures with a reader that has no others."""
        there = self.rows >= 0
        rows = np.full(len(self.rows), -1, dtype=np.intp)
        rows[there] = np.arange(there.sum())
        return type(self)(self.reader.take(self.rows[there]), rows)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Transformed pictures by index; all that ``torch.utils.data.DataLoader`` expects of a dataset."""

    pictures: Pictures
    transform: Callable[[Image], Any]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> Any:
        return self.transform(self.pictures.open(i))
