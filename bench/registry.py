"""Finds plugins. A plugin's name is the name of its file or folder, or of its entry point.

Nothing is imported until a plugin is asked for: listing reads source text only, so it is
fast, and one broken plugin does not hide the others.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
from bench.errors import BenchError, ContractError, UnknownNameError

KINDS = {"method": "methods", "dataset": "datasets", "report": "reports"}
_BASES = {"method": "Method", "dataset": "DatasetSource"}  # of bench.api; a report is a function
_extra: dict[str, Path] = {}  # --plugin files: module name → path


@dataclass(frozen=True, slots=True)
class Listing:
    """One plugin as its source text shows it: nothing of it has been imported."""

    name: str
    kind: str
    origin: str  # built-in, a distribution's name, or the path of a --plugin file
    module: str
    attribute: str  # of an entry point; "" means: the one plugin class in the module
    path: Path | None
    summary: str
    broken: str  # why it cannot be used, or ""


def listings(kind: str) -> list[Listing]:
    """All plugins of a kind, by name, broken ones with their reason."""
    return [_listing(kind, *target) for target in sorted(_targets(kind).values())]


def names(kind: str) -> list[str]:
    return sorted(_targets(kind))


def get(kind: str, name: str) -> Any:
    """The plugin class called ``name``, or the ``render`` function of a report; imports it."""
    targets = _targets(kind)
    if name not in targets:
        raise UnknownNameError(kind, name, targets)
    _, origin, module_name, attribute = targets[name]
    module = _import(kind, name, module_name)
    if kind == "report":
        if not callable(getattr(module, "render", None)):
            raise ContractError(f"report {name!r} ({module_name}) has no function render(records). Add one.")
        return module.render
    if attribute:
        candidates = [getattr(module, attribute, None)]
    else:
        candidates = [c for _, c in inspect.getmembers(module, inspect.isclass) if _defined_in(c, module_name)]
    base = getattr(importlib.import_module("bench.api"), _BASES[kind])
    found = [c for c in candidates if inspect.isclass(c) and issubclass(c, base) and not inspect.isabstract(c)]
    if len(found) != 1:
        shown = ", ".join(c.__name__ for c in found) or "none"
        hint = _unfinished(candidates, base)
        raise ContractError(
            f"{kind} {name!r} ({module_name}, {origin}) must define exactly one {base.__name__}; found {shown}.{hint}"
        )
    return found[0]


def path_of(kind: str, name: str) -> Path | None:
    """The source file or folder of a plugin, found without importing it."""
    targets = _targets(kind)
    if name not in targets:
        raise UnknownNameError(kind, name, targets)
    return locate(targets[name][2])


def add_file(path: Path) -> str:
    """Make the plugins of a single file known (``--plugin path.py``); its name is the plugin's."""
    path = path.resolve()
    if not path.is_file() or path.suffix != ".py":
        raise ContractError(f"plugin {path}: not a Python file. Give the path of a .py file.")
    _extra[f"bench_plugin_{path.stem}"] = path
    return path.stem


def added_files() -> list[Path]:
    """The --plugin files, so that a worker process can add them too."""
    return list(_extra.values())


def _targets(kind: str) -> dict[str, tuple[str, str, str, str]]:
    """name → (name, origin, module, attribute); a foreign plugin cannot take a built-in name."""
    found = {}
    for name in _folder_names(KINDS[kind]):
        found[name] = (name, "built-in", f"bench.{KINDS[kind]}.{name}", "")
    for point in entry_points(group=f"bench.{KINDS[kind]}"):
        module, _, attribute = point.value.partition(":")
        _add(found, kind, (point.name, _distribution(point), module, attribute))
    for module_name, path in _extra.items():
        if _kind_of_file(path) == kind:
            _add(found, kind, (path.stem, str(path), module_name, ""))
    return found


def _add(
    found: dict[str, tuple[str, str, str, str]], kind: str, target: tuple[str, str, str, str]
) -> None:
    name, origin, *_ = target
    if name in found:
        raise ContractError(
            f"{kind} {name!r} of {origin} has the name of a {kind} from {found[name][1]}. Rename it."
        )
    found[name] = target


def _folder_names(folder: str) -> Iterator[str]:
    for root in bench.__path__:
        for path in (Path(root) / folder).glob("*"):
            is_plugin = path.suffix == ".py" or (path / "__init__.py").is_file()
            if is_plugin and not path.name.startswith(("_", ".")):
                yield path.stem


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an installed distribution"


def _defined_in(cls: type, module_name: str) -> bool:
    return cls.__module__ == module_name or cls.__module__.startswith(module_name + ".")


def _unfinished(candidates: list[Any], base: type) -> str:
    for c in candidates:
        missing = sorted(getattr(c, "__abstractmethods__", ()))
        if inspect.isclass(c) and issubclass(c, base) and missing:
            return f" {c.__name__} lacks {', '.join(missing)}."
    return ""


def _import(kind: str, name: str, module_name: str) -> ModuleType:
    try:
        if module_name in _extra:
            return _import_file(module_name, _extra[module_name])
        return importlib.import_module(module_name)
    except BenchError:
        raise
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise ContractError(
            f"{kind} {name!r} cannot be imported: {type(error).__name__}: {error}. "
            f"Run `python -c 'import {module_name}'` to see where."
        ) from error


def _import_file(module_name: str, path: Path) -> ModuleType:
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    return sys.modules[module_name]


def locate(module_name: str) -> Path | None:
    """The file (or package folder) of a module, without importing it or its parents."""
    if module_name in _extra:
        return _extra[module_name]
    top, *rest = module_name.split(".")
    roots: list[Path] = [Path(p) for p in bench.__path__] if top == "bench" else []
    if not roots:
        spec = importlib.util.find_spec(top)
        if spec is None:
            return None
        if not rest:
            return Path(spec.origin) if spec.origin else None
        roots = [Path(p) for p in spec.submodule_search_locations or ()]
    for root in roots:
        base = root.joinpath(*rest)
        if base.with_suffix(".py").is_file():
            return base.with_suffix(".py")
        if (base / "__init__.py").is_file():
            return base
    return None


def _parse(path: Path) -> ast.Module:
    file = path / "__init__.py" if path.is_dir() else path
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def _kind_of_file(path: Path) -> str:
    """What a --plugin file defines, by the bases of its classes; a report has ``render``."""
    try:
        tree = _parse(path)
    except (SyntaxError, OSError, UnicodeDecodeError):
        return "method"
    bases = {ast.unparse(b).rpartition(".")[2] for n in tree.body if isinstance(n, ast.ClassDef) for b in n.bases}
    if "DatasetSource" in bases:
        return "dataset"
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    return "report" if "render" in functions and "Method" not in bases else "method"


def _listing(kind: str, name: str, origin: str, module: str, attribute: str) -> Listing:
    path = locate(module)
    summary, broken = "", ""
    if path is None:
        broken = f"module {module!r} is not installed"
    else:
        try:
            tree = _parse(path)
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            broken = _missing_import(tree)
        except (SyntaxError, OSError, UnicodeDecodeError) as error:
            broken = f"{type(error).__name__}: {error}"
    return Listing(name, kind, origin, module, attribute, path, summary, broken)


def _missing_import(tree: ast.Module) -> str:
    """The first absolute top-level import that nothing installed answers to."""
    for node in tree.body:
        wanted: list[str] = []
        if isinstance(node, ast.Import):
            wanted = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            wanted = [node.module]
        for module in wanted:
            top = module.partition(".")[0]
            if top not in sys.modules and importlib.util.find_spec(top) is None:
                return f"needs the module {top!r}, which is not installed"
    return ""


def describe(cls: type) -> Mapping[str, Any]:
    """The class docstring of a plugin, without the signature that dataclasses would put there."""
    doc = inspect.getdoc(cls) or ""
    return {"doc": "" if doc.startswith(f"{cls.__name__}(") else doc}
