"""Every room of bench/ says what it may import and imports nothing else; docs/design.md shows their map."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def tool() -> Any:
    """docs/rooms.py, which is no package."""
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rooms = tool()
ARROWS: dict[str, set[str]] = rooms.arrows()
HARNESS = sorted(set(ARROWS) - set(rooms.PLUGINS))


def test_no_circle_of_rooms_imports_itself() -> None:
    floors = rooms.floors(ARROWS)
    assert all(floors[room] > floors[other] for room, others in ARROWS.items() for other in others)


def test_a_circle_would_be_found() -> None:
    with pytest.raises(ValueError, match="a → b → a"):
        rooms.floors({"a": {"b"}, "b": {"a"}})


@pytest.mark.parametrize("room", HARNESS)
def test_a_room_says_in_a_sentence_what_lives_there(room: str) -> None:
    assert rooms.sentence(room).endswith(".")


@pytest.mark.parametrize("room", HARNESS)
def test_a_room_imports_what_it_says_and_says_no_more(room: str) -> None:
    allowed = rooms.may_import(room)
    if allowed is not None:
        assert ARROWS[room] == allowed


@pytest.mark.parametrize("folder", rooms.PLUGINS)
def test_plugins_import_the_faces_and_their_own_helpers(folder: str) -> None:
    assert ARROWS[folder] <= set(rooms.FACES[folder])


def test_the_harness_imports_no_plugin_by_name() -> None:
    for room in HARNESS:
        assert not ARROWS[room] & set(rooms.PLUGINS), room


def test_the_design_page_shows_the_map() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert f"```text\n{rooms.draw()}\n```" in page, "renew it: python docs/refresh.py"


def test_imports_inside_functions_and_by_name_are_read(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(
        "def f():\n    from bench.study import grid\n    importlib.import_module('bench.paper')\n"
        "if TYPE_CHECKING:\n    import bench.records\n"
    )
    known = {"study": file, "study.grid": file}
    assert sorted(rooms.imports(file, known)) == ["paper", "records", "study.grid"]
