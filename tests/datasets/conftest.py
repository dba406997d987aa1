"""Writes the files of miniature distributions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write() -> Write:
    """``write(path, text, encoding=...)`` makes the folders too; a newline is written as it is given."""

    def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def photo() -> Write:
    """``photo(path, colour=(r, g, b), mode="RGB")`` saves 8 × 6 pixels in the format of the suffix."""

    def photo(path: Path, colour: tuple[int, ...] = (200, 30, 10), mode: str = "RGB") -> Path:
        from PIL import Image

        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), colour).convert(mode).save(path)
        return path

    return photo
