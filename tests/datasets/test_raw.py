"""The base class of raw datasets: the views it needs, and its errors if they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from bench.api import Card, Raw, RawSource, param
from bench.errors import DataError, ParameterError


class Tiny(RawSource):
    """Four items of two classes."""

    edition: int = param(1, "which items", least=1)
    image: str = param("colour", "view of the pictures that is their features")
    card: ClassVar[Card] = Card(name="tiny_raw", title="Tiny", sources=(), licence="none", citation="nobody")

    def raw(self, root: Path) -> Raw:
        return Raw(
            ids=np.arange(4, dtype=np.intp),
            image=lambda row: Image.new("RGB", (8, 8), (60 * row, 0, 0)),
            texts=["a red cat", "a dog", "red", "cat"],
            labels=np.array([[1, 0], [0, 1], [1, 0], [1, 1]], np.uint8),
            classes=("cat", "dog"),
            train=np.array([0, 1, 2], np.intp),
            query=np.array([3], np.intp),
        )


def test_a_missing_view_is_an_error_with_the_exact_command(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Tiny(edition=2).load(tmp_path)
    assert str(caught.value).endswith(
        "Run: bench data prepare 'tiny_raw[edition=2]' --views colour,bow,clip:ViT-B-32:openai "
        f"--data-root {tmp_path}"
    )


def test_the_card_gives_licence_and_citation() -> None:
    assert (Tiny.licence, Tiny.citation) == ("none", "nobody")


def test_a_view_of_the_other_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ParameterError, match=r"image=bow is a view of texts; expected one of images. Write text=bow"
    ):
        Tiny(image="bow").views()
