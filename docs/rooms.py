"""The rooms of bench/: what lives where, and who imports whom: `python docs/rooms.py` prints the map.

A room is a package of bench/ or a module at its top. Imports are read from the source text, those inside
functions and under TYPE_CHECKING included; so is a module whose name is given to import_module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FACES = {  # all of bench that the plugins in each folder may import
    "methods": ("api",),
    "datasets": ("api",),
    "reports": ("api", "errors", "metrics", "records", "reporting"),
}
PLUGINS = tuple(FACES)
NESTED = "data.views"  # a package inside another that is a room of its own


def modules() -> dict[str, Path]:
    """The name of every module of the harness and of the plugin folders, without ``bench.``."""
    found = {}
    for folder in ("bench", *PLUGINS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if folder == "bench" else parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """``study`` of ``study.grid``; the package root is ""."""
    return NESTED if f"{module}.".startswith(f"{NESTED}.") else module.partition(".")[0]


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of bench that a file imports, without ``bench.``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("bench.") in known else node.module for name in inside]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            first = node.args[0]
            names = [str(first.value)] if isinstance(first, ast.Constant) else []
        yield from (name.partition(".")[2] for name in names if f"{name}.".startswith("bench."))


def arrows() -> dict[str, set[str]]:
    """Which rooms every room imports. Everything may import the root, which has the version alone."""
    known = modules()
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        here = room_of(module)
        if here:
            found.setdefault(here, set()).update(room_of(name) for name in imports(path, known))
    return {room: others - {room, ""} for room, others in found.items()}


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """The floor of every room: one above the highest that it imports; 0 imports nothing."""
    found: dict[str, int] = {}

    def floor(room: str, above: tuple[str, ...]) -> int:
        if room in above:
            raise ValueError(f"a circle of imports: {' → '.join((*above, room))}")
        if room not in found:
            found[room] = 1 + max((floor(r, (*above, room)) for r in arrows.get(room, ())), default=-1)
        return found[room]

    for room in arrows:
        floor(room, ())
    return found


def sentence(room: str) -> str:
    """The first line of a room's docstring, which says what lives there."""
    return _docstring(room).partition("\n")[0]


def may_import(room: str) -> set[str] | None:
    """The rooms that a room's docstring allows it to import; None: every one."""
    said = re.search(r"May import: ([\w., \n]+)\.$", _docstring(room), re.MULTILINE)
    if said is None:
        return set()
    names = " ".join(said[1].split())
    return None if names == "every other room" else set(names.split(", "))


def _docstring(room: str) -> str:
    base = ROOT / "bench" / room.replace(".", "/")
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def draw() -> str:
    """The map: the plugin folders, then rooms by floor, each with its modules and its sentence."""
    known, drawn = modules(), arrows()
    heights = floors(drawn)
    lines = [f"    {folder:10}  imports {', '.join(faces)}" for folder, faces in FACES.items()]
    for room in sorted(set(heights) - set(PLUGINS), key=lambda room: (-heights[room], room)):
        inside = [m.removeprefix(f"{room}.") for m in known if room_of(m) == room and m != room]
        lines.append(f"{heights[room]:2}  {room:10}  {sentence(room)}")
        if inside:
            lines.append(f"{'':16}{', '.join(inside)}")
    count = sum(len(others) for others in drawn.values())
    lines.append(f"{len(heights) - len(PLUGINS)} rooms, {max(heights.values()) + 1} floors, {count} arrows")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(draw() + "\n")
