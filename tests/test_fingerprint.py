"""bench.plugins.fingerprint: what makes a stored cell stale, and what does not."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.plugins import fingerprint, meanings, registry


def of(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The fingerprint of a method whose file has this text."""
    path = folder / "mine.py"
    path.write_text(text)
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(path)
    return fingerprint.of_method("mine")


BASE = 'class Mine(Method):\n    """Words."""\n    alpha: float = 1.0\n'


@pytest.mark.parametrize(
    "text",
    [
        BASE + "# a comment\n",
        BASE.replace("Words", "Other words"),
        BASE.replace("alpha: float = 1.0", "alpha: float = (1.0)"),
        '"""A docstring of the module."""\n' + BASE,
    ],
)
def test_comments_docstrings_and_layout_change_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of(tmp_path, text, monkeypatch) == of(tmp_path, BASE, monkeypatch)


@pytest.mark.parametrize("text", [BASE.replace("1.0", "1.1"), BASE + "    beta: float = 2.0\n"])
def test_code_does(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(tmp_path, text, monkeypatch) != of(tmp_path, BASE, monkeypatch)


def test_an_edited_dataset_has_another_fingerprint_at_once(plugin_file: Callable[[str, str], Path]) -> None:
    text = "class Mine(DatasetSource):\n    shift: float = 1.0\n"
    name = registry.add_file(plugin_file("mine", text))
    before = fingerprint.of_dataset(name)
    plugin_file("mine", text.replace("1.0", "2.0"))
    assert fingerprint.of_dataset(name) != before


def test_helpers_that_a_method_imports_are_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_helper = of(tmp_path, "from bench.methods._online import dot\n" + BASE, monkeypatch)
    monkeypatch.setattr(fingerprint, "_imported", lambda file: iter(()))
    fingerprint._of_method.cache_clear()
    assert of(tmp_path, "from bench.methods._online import dot\n" + BASE, monkeypatch) != with_helper


def test_methods_have_fingerprints_of_their_own() -> None:
    found = {fingerprint.of_method(name) for name in registry.names("method")}
    assert len(found) == len(registry.names("method"))


@pytest.fixture
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in an empty cache that remembers the meaning of BASE, which this process has forgotten."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    meanings.of.cache_clear()
    meanings.of(BASE)
    meanings.of.cache_clear()
    [file] = tmp_path.rglob("*.json")
    return file


@pytest.mark.usefixtures("remembered")
def test_a_text_that_an_earlier_process_has_parsed_is_not_parsed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meaning = meanings._parsed(BASE)
    monkeypatch.delattr(ast, "parse")
    assert meanings.of(BASE) == meaning


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": 1, "modules": []}', '{"digest": "a"}'])
def test_a_damaged_memory_of_a_text_is_replaced(content: str, remembered: Path) -> None:
    before = remembered.read_text()
    remembered.write_text(content)
    assert meanings.of(BASE) == meanings._parsed(BASE)
    assert remembered.read_text() == before


def test_a_cache_that_cannot_be_written_changes_no_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meanings").write_text("a file where a folder belongs")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    meanings.of.cache_clear()
    assert meanings.of(BASE) == meanings._parsed(BASE)
