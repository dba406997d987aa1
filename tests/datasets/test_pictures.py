"""Pictures of every kind become 8-bit RGB, and files that are no pictures are named."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets._pictures import Pictures, listing
from bench.errors import DataError

Write = Callable[..., Path]


def pixel(path: Path) -> tuple[int, ...]:
    image = Pictures([path.parent], [path.name])(0)
    assert (image.mode, image.size) == ("RGB", (8, 6))
    found = image.getpixel((3, 3))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGB"), ("png", "RGBA"), ("png", "P"), ("jpg", "RGB")])
def test_every_mode_becomes_rgb(tmp_path: Path, photo: Write, suffix: str, mode: str) -> None:
    assert np.allclose(pixel(photo(tmp_path / f"a.{suffix}", mode=mode)), (200, 30, 10), atol=30)


def test_a_cmyk_photo_keeps_its_colour(tmp_path: Path, photo: Write) -> None:
    assert np.allclose(pixel(photo(tmp_path / "a.jpg", mode="CMYK")), (200, 30, 10), atol=12)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_upper_half(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.full((6, 8), 40_000, np.uint16)).save(tmp_path / f"a.{suffix}")
    assert pixel(tmp_path / f"a.{suffix}") == (156, 156, 156)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (8, 6), 1)
    image.putpalette([0, 0, 0, 200, 30, 10])
    image.save(tmp_path / "a.png", transparency=b"\x00\xff")
    assert pixel(tmp_path / "a.png") == (200, 30, 10)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9])
def test_a_truncated_photo_is_named(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 90).save(path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(
        DataError, match=r"a\.jpg: cannot be read as a picture .*; expected a complete"
    ) as caught:
        Pictures([tmp_path], ["a.jpg"])(0)
    assert "\n" not in str(caught.value)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg: cannot be read as a picture"):
        Pictures([tmp_path], ["none.jpg"])(0)


def zipped(folder: Path, photo: Write) -> Path:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name in ("a.png", "b.png"):
            archive.write(photo(folder / name, colour=(200, 30, ord(name[0]))), f"in/{name}")
    return folder / "all.zip"


def test_photos_are_read_from_a_zip(tmp_path: Path, photo: Write) -> None:
    place = zipped(tmp_path, photo)
    assert listing(place) == {"in/a.png", "in/b.png"}
    assert Pictures([place], ["in/b.png"])(0).getpixel((0, 0)) == (200, 30, 98)


def test_pictures_in_a_zip_survive_pickling(tmp_path: Path, photo: Write) -> None:
    pictures = Pictures([zipped(tmp_path, photo)] * 2, ["in/a.png", "in/b.png"])
    pictures(0)
    assert pickle.loads(pickle.dumps(pictures))(1).getpixel((0, 0)) == (200, 30, 98)


def test_a_file_that_is_no_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"all\.zip: cannot be read"):
        Pictures([tmp_path / "all.zip"], ["a.png"])(0)


def test_a_folder_is_listed_with_its_subfolders(tmp_path: Path, photo: Write) -> None:
    photo(tmp_path / "00" / "1.png")
    photo(tmp_path / "2.png")
    assert listing(tmp_path) == {"00/1.png", "2.png"}
