"""Names of views: an encoder with its arguments, or a network; a wrong one is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data.views.names import View
from bench.errors import ParameterError
from bench.plugins import registry

Write = Callable[[str, str], Path]

ENCODER = '''"""Grid: a test."""

from bench.api import Encoder, Extractor, param


class Grid(Encoder):
    """Nothing but arguments."""

    modalities = ("image",)
    cells: int = param(4, "cells per side", least=1)
    mode: str = param("mean", "how")

    def load(self, modality, raw, setting):
        return Extractor(lambda item: [self.cells], list, {"mode": self.mode})
'''


def test_arguments_are_read_as_the_encoders_parameters_in_order(plugin_file: Write) -> None:
    registry.add_file(plugin_file("grid", ENCODER))
    assert vars(View.parse("grid:8").encoder()) == {"cells": 8, "mode": "mean"}
    assert vars(View.parse("grid:8:max").encoder()) == {"cells": 8, "mode": "max"}


@pytest.mark.parametrize(
    ("text", "modalities"),
    [
        ("grid", ("image",)),
        ("bow", ("text",)),
        ("clip:ViT-B-32:openai", ("image", "text")),
        ("vgg16", ("image",)),
    ],
)
def test_modalities_are_those_of_the_encoder(
    plugin_file: Write, text: str, modalities: tuple[str, ...]
) -> None:
    registry.add_file(plugin_file("grid", ENCODER))
    assert View.parse(text).modalities == modalities


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grid:0", r"view grid:0: cells must be int in \[1, inf\); got '0'"),
        ("grid:1:mean:3", "has too many arguments; expected at most grid:CELLS:MODE"),
        ("clip", "names no model. Write clip:MODEL:WEIGHTS"),
        ("gist:3", "has too many arguments; expected at most gist"),
        ("vgg16:a:b", "has too many arguments; expected at most vgg16:WEIGHTS"),
        ("bow:", "expected an encoder or a network"),
        ("my-view", "expected an encoder or a network"),
        ("", "expected an encoder or a network"),
    ],
)
def test_a_wrong_name_is_refused_with_the_form_expected(plugin_file: Write, text: str, says: str) -> None:
    registry.add_file(plugin_file("grid", ENCODER))
    with pytest.raises(ParameterError, match=says):
        View.parse(text)


def test_a_kind_that_no_encoder_has_is_a_network() -> None:
    encoder = View.parse("resnet50:weights.pth").encoder()
    assert vars(encoder) == {"model": "resnet50", "weights": "weights.pth"}


def test_reading_a_name_imports_no_model(python: Callable[..., str]) -> None:
    code = (
        "import sys; from bench.data.views.names import View; "
        "[View.parse(v) for v in ('bow', 'gist', 'clip:a:b', 'vgg16', 'sentence', 'hog')]; "
        "print({'torch', 'timm', 'open_clip', 'sklearn', 'skimage', 'scipy'} & set(sys.modules))"
    )
    assert python(code).strip() == "set()"


def test_the_code_of_a_view_includes_the_helpers_of_its_encoder() -> None:
    assert {file.name for file in View.parse("bow").code()} == {"bow.py", "_words.py"}


def test_an_added_file_takes_its_name_from_the_networks(plugin_file: Write) -> None:
    assert "network.py" in [file.name for file in View.parse("grid").code()]
    registry.add_file(plugin_file("grid", ENCODER))
    assert [file.name for file in View.parse("grid").code()] == ["grid.py"]
