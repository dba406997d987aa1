"""Opens the pictures of a dataset one by one, from folders or straight out of a zip, as 8-bit RGB.

Trap: Pillow converts a 16-bit picture to RGB by clipping, which turns nearly all of it white.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.api import DataError, Rows

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Pictures:
    """``pictures(row)`` decodes the picture ``names[row]`` of the folder or zip ``places[row]``.

    Picklable. A missing or damaged picture raises a :class:`DataError` that names it.
    """

    places: Sequence[Path]
    names: Sequence[str]

    def __call__(self, row: int) -> Image:
        place, name = self.places[row], self.names[row]
        try:
            stored = _archive(place, os.getpid()).read(name) if is_zip(place) else (place / name).read_bytes()
            return rgb(stored)
        except MemoryError:
            raise
        except Exception as error:  # Pillow and zipfile raise a dozen types on damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"{place / name}: cannot be read as a picture ({reason}); expected a complete image file. "
                "Copy or download it again, or delete it: the item is then left out, with a note."
            ) from error

    def take(self, rows: Iterable[int]) -> Pictures:
        """The pictures of these rows, renumbered from 0."""
        return Pictures([self.places[i] for i in rows], [self.names[i] for i in rows])


def rgb(stored: bytes) -> Image:
    """Decode a picture of any mode: CMYK, palette, grey, and 16 bits by their upper half."""
    from PIL import Image as Pillow

    with Pillow.open(io.BytesIO(stored)) as image:
        if image.mode.startswith("I"):  # "I;16", or "I" from older files
            return Pillow.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
        if image.mode == "P":  # Pillow warns about a palette's transparency without the detour
            return image.convert("RGBA").convert("RGB")
        return image.convert("RGB")


def is_zip(place: Path) -> bool:
    """Whether a place is a zip, by its suffix."""
    return place.suffix.lower() == ".zip"


def listing(place: Path) -> set[str]:
    """Names of all files below a folder or in a zip, with slashes, as :class:`Pictures` expects them."""
    if is_zip(place):
        return {name for name in _archive(place, os.getpid()).namelist() if not name.endswith("/")}
    files: set[str] = set()
    for folder, _, names in os.walk(place):
        below = Path(folder).relative_to(place).as_posix()
        files.update(names if below == "." else (f"{below}/{name}" for name in names))
    return files


def gather(home: Path) -> dict[str, tuple[Path, str]]:
    """Place and name of every picture in and below ``home``, by its bare file name.

    Includes the zips in ``home`` itself; a picture that is also unpacked is read from its folder.
    Requires that pictures in different folders have different names.
    """
    places = {}
    for place in (*sorted(home.glob("*.zip")), home):
        for name in sorted(listing(place)):
            if name.lower().endswith(SUFFIXES) and not name.startswith("views/"):
                places[name.rpartition("/")[2]] = place, name
    return places


def choose(
    home: Path, places: Mapping[str, tuple[Path, str]], names: Sequence[str]
) -> tuple[Pictures, Rows, str]:
    """The pictures among ``names`` that exist, their rows, and a note on the missing ones.

    Raises :class:`DataError` if none of them exists in or below ``home``.
    """
    rows = [i for i, name in enumerate(names) if name in places]
    if names and not rows:
        raise DataError(
            f"{home}: has none of the {len(names)} pictures (first: {names[0]}); expected them in a folder "
            f"or zip there. `bench data info {home.name}` says where to get them."
        )
    pictures = Pictures([places[names[i]][0] for i in rows], [places[names[i]][1] for i in rows])
    missing = [name for name in names if name not in places]
    note = f"dropped items without a picture: {len(missing)} (first: {missing[0]})" if missing else ""
    return pictures, np.array(rows, dtype=np.intp), note


@lru_cache(maxsize=8)
def _archive(path: Path, process: int) -> zipfile.ZipFile:
    """One handle per process: after a fork, two readers of one handle would disturb each other's position."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a zip. Download it again.") from error
