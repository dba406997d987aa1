"""Options of reports: declared by `render`, shown by `bench info`, given by `bench table --option`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.errors import ContractError, ParameterError
from bench.plugins import registry
from bench.reporting.options import checked, declared

SHOUT = '''
"""Every option type there is."""

from typing import Annotated, Literal


def render(
    results,
    *,
    top: Annotated[int, "methods to show"] = 5,
    least: float = 0.0,
    loud: bool = False,
    order: Literal["up", "down"] = "up",
    only: tuple[str, ...] = (),
    title: str | None = None,
    unit="cells",
):
    return repr((top, least, loud, order, only, title, unit))
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Makes a report of this text known."""
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.delitem(sys.modules, "bench_plugin_shout", raising=False)

    def add(text: str) -> str:
        path = tmp_path / "shout.py"
        path.write_text(text, encoding="utf-8")
        return registry.add_file(path)

    yield add


def test_an_option_has_its_type_its_default_and_its_meaning(plugin: Callable[[str], str]) -> None:
    top = declared(plugin(SHOUT))["top"]
    assert (top.type, top.default, top.doc, top.expects) == (int, 5, "methods to show", "int")


def test_an_option_without_an_annotation_has_the_type_of_its_default(plugin: Callable[[str], str]) -> None:
    assert declared(plugin(SHOUT))["unit"].type is str


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("top", "3", 3),
        ("least", "0.5", 0.5),
        ("loud", "true", True),
        ("order", "down", "down"),
        ("only", "lcdh, ukd", ("lcdh", "ukd")),
        ("title", "none", None),
        ("title", "T", "T"),
    ],
)
def test_text_is_read_as_the_type_of_the_option(
    plugin: Callable[[str], str], name: str, text: str, value: Any
) -> None:
    assert checked(plugin(SHOUT), {name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("top", "many", "report 'shout': top must be int; got 'many'"),
        ("top", 2.5, "top must be int; got 2.5"),
        ("loud", "loudly", "loud must be bool; got 'loudly'"),
        ("order", "sideways", "order must be one of up, down; got 'sideways'"),
        ("only", [3], "only must be names, separated by commas; got [3]"),
        ("volume", 11, "report 'shout' has no option 'volume'. Known: top, least"),
    ],
)
def test_an_error_names_the_option_the_value_and_the_expectation(
    plugin: Callable[[str], str], name: str, value: Any, says: str
) -> None:
    with pytest.raises(ParameterError) as raised:
        checked(plugin(SHOUT), {name: value})
    assert says in str(raised.value)


def test_a_type_that_a_command_line_cannot_give_is_an_error_of_the_report(
    plugin: Callable[[str], str],
) -> None:
    with pytest.raises(ContractError, match="option 'top' is declared dict"):
        declared(plugin(SHOUT.replace('Annotated[int, "methods to show"]', "dict")))


def test_an_annotation_that_names_nothing_is_an_error_of_the_report(plugin: Callable[[str], str]) -> None:
    text = "from __future__ import annotations\n" + SHOUT.replace("top: Annotated", "top: Unknown")
    with pytest.raises(ContractError, match="name 'Unknown' is not defined"):
        declared(plugin(text))


def test_info_shows_the_options_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "map_table"]) == 0
    shown = capsys.readouterr().out
    assert "map_table: The main table" in shown and "bench table --report map_table --option" in shown
    assert "band          True   bool  show the worst and best order of tied items" in shown


def test_info_says_where_a_report_has_no_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "timing"]) == 0
    assert "no options" in capsys.readouterr().out


@pytest.mark.parametrize("name", registry.names("report"))
def test_every_option_of_a_built_in_report_has_a_meaning(name: str) -> None:
    assert all(option.doc for option in declared(name).values())
