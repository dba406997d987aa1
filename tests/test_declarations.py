"""The declarations of a method that is not built in, read in a child."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.contract import params
from bench.contract.method import Method, fidelity
from bench.errors import ContractError, ParameterError
from bench.isolation import declarations
from bench.plugins import registry

HEAD = """
import json, os, sys
from typing import Literal
from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Source, Variant, param
from bench.errors import ParameterError

class Mine(Method):
    \"\"\"A method of a stranger.\"\"\"

    alpha: float = param(0.5, "a weight", least=0, most=2)
    mode: Literal["a", "b"] | None = None

    capabilities = Capabilities(supervised=True, views=("clip",))
    source = Source(paper="Somebody 2020", fidelity="authors' algorithm")
    presets = {"authors": {"alpha": 1.0}}
    variants = {"no": Variant(isolates="the weight", params={"alpha": 0.0})}
    varies = ("alpha",)

    def fit_chunk(self, chunk: Chunk) -> None: ...
    def encode(self, batch: Batch, modality: Modality) -> Codes: ...
"""


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_extra", {})


def stand_in(tmp_path: Path, more: str = "") -> Any:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + more)
    return declarations.method(registry.add_file(file))


def test_a_plugin_file_is_declared_as_it_is_and_not_imported(tmp_path: Path) -> None:
    cls = stand_in(tmp_path)
    assert "bench_plugin_mine" not in sys.modules
    real: type[Method] = registry.get("method", "mine")
    assert params.parameters(cls, without=()) == params.parameters(real, without=())
    for name in ("capabilities", "source", "presets", "variants", "varies", "__name__", "__doc__"):
        assert getattr(cls, name) == getattr(real, name), name
    assert fidelity(cls, {"alpha": 1.0}) == "authors' algorithm"


def test_a_built_in_method_is_its_class() -> None:
    assert declarations.method("lemon") is registry.get("method", "lemon")


def test_the_class_itself_is_imported_where_it_is_wanted(tmp_path: Path) -> None:
    assert declarations.actual(stand_in(tmp_path)) is registry.get("method", "mine")


def test_a_stand_in_neither_learns_nor_encodes(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="Mine holds only the declarations of a method"):
        stand_in(tmp_path)(bits=8).encode(None, "image")


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    assert stand_in(tmp_path).varies == ("alpha",)
    assert stand_in(tmp_path, "    varies = ()\n").varies == ()


CHECKS = """
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits % 8:
            raise ParameterError(f"Mine: bits must be a multiple of 8; got {self.bits}.")
        if self.alpha == 2:
            os._exit(3)
"""


def test_values_that_the_own_constructor_refuses_are_refused(tmp_path: Path) -> None:
    cls = stand_in(tmp_path, CHECKS)
    assert cls(bits=8).bits == 8
    with pytest.raises(ParameterError, match="Mine: bits must be a multiple of 8; got 12"):
        cls(bits=12)


def test_a_constructor_that_ends_its_process_is_named(tmp_path: Path) -> None:
    cls = stand_in(tmp_path, CHECKS)
    with pytest.raises(
        ContractError, match="'mine' cannot be constructed: the process ended itself with exit"
    ):
        cls(bits=8, alpha=2.0)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("os._exit(0)", "cannot be imported: the process ended itself with exit code 0. See .*mine.py"),
        ("sys.exit(0)", "cannot be imported: SystemExit: 0. See .*mine.py"),
        ("Mine.source = 'mine'", "has no proper declarations: it.source is 'mine'; expected an object"),
        ("Mine.presets = {'a': {'alpha': Mine}}", "not JSON serializable"),
        ("Mine.__qualname__ = 'a b'", "'a b' is no name of a class or a parameter"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_the_file(tmp_path: Path, more: str, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        stand_in(tmp_path, f"\n{more}\n")


@pytest.mark.parametrize("name", ["x=print(1)", "__init__", "class", ""])
def test_the_name_of_a_field_cannot_be_code(name: str) -> None:
    """A dataclass compiles the names of its fields."""
    assert declarations._odd_names({"name": "Mine", "fields": [{"name": name}]})
