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
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
from bench.contract.dataset import DatasetSource
from bench.contract.method import Method
from bench.errors import BenchError, ContractError, UnknownNameError

KINDS = {"method": "methods", "dataset": "datasets", "report": "reports"}
_BASES = {"method": Method, "dataset": DatasetSource}  # a report is a function
_ENDINGS = {"method": "Method", "dataset": "Source"}  # of the names of those and of what derives from them
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


@dataclass(frozen=True, slots=True, order=True)
class _Target:
    """Where a name leads: what is known of a plugin before its source is read."""

    name: str
    origin: str
    module: str
    attribute: str = ""


def listings(kind: str) -> list[Listing]:
    """All plugins of a kind, by name, broken ones with their reason."""
    found, clashing = _targets(kind)
    usable = [_listing(kind, target) for target in sorted(found.values())]
    taken = [_taken(kind, target, found[target.name]) for target in clashing]
    return sorted(usable + taken, key=lambda listing: listing.name)


def names(kind: str) -> list[str]:
    return sorted(_targets(kind)[0])


def get(kind: str, name: str) -> Any:
    """The plugin class called ``name``, or the ``render`` function of a report; imports it."""
    target = _target(kind, name)
    module = _import(kind, target)
    where = f"{kind} {name!r} ({target.module}, {target.origin})"
    if target.attribute and not hasattr(module, target.attribute):
        raise ContractError(f"{where} has no {target.attribute}. Correct its entry point.")
    if kind == "report":
        render = getattr(module, target.attribute or "render", None)
        if not callable(render):
            raise ContractError(f"{where} has no function render(records). Add one.")
        return render
    if target.attribute:
        candidates = [getattr(module, target.attribute)]
    else:
        members = dict(inspect.getmembers(module, inspect.isclass)).values()
        candidates = list(dict.fromkeys(c for c in members if _defined_in(c, target.module)))
    base = _BASES[kind]
    plugins = [c for c in candidates if inspect.isclass(c) and issubclass(c, base)]
    found = [c for c in plugins if not inspect.isabstract(c)]
    if len(found) != 1:
        shown = ", ".join(c.__name__ for c in found) or "none"
        lacks = [f" {c.__name__} lacks {_unfinished(c)}." for c in plugins if c not in found]
        raise ContractError(
            f"{where} must define exactly one {base.__name__}; found {shown}.{''.join(lacks)}"
        )
    return found[0]


def path_of(kind: str, name: str) -> Path | None:
    """The source file or folder of a plugin, found without importing it."""
    return locate(_target(kind, name).module)


def add_file(path: Path) -> str:
    """Make the plugins of a single file known (``--plugin path.py``); its name is the plugin's."""
    path = path.resolve()
    if not path.is_file() or path.suffix != ".py":
        raise ContractError(f"plugin {path}: not a Python file. Give the path of a .py file.")
    if not path.stem.isidentifier():
        raise ContractError(
            f"plugin {path}: {path.stem!r} cannot be a plugin's name. Use letters, digits and _."
        )
    module = f"bench_plugin_{path.stem}"
    if _extra.get(module, path) != path:
        raise ContractError(f"plugin {path}: {_extra[module]} has the same name already. Rename one.")
    for kind in _kinds_of_file(path):
        other = _targets(kind)[0].get(path.stem)
        if other is not None and other.module != module:
            raise ContractError(
                f"plugin {path}: a {kind} from {other.origin} has the same name already. Rename it."
            )
    _extra[module] = path
    return path.stem


def added_files() -> list[Path]:
    """The --plugin files, so that a worker process can add them too."""
    return list(_extra.values())


def file_modules() -> list[ModuleType]:
    """The modules of those files that have been imported."""
    return [sys.modules[name] for name in _extra if name in sys.modules]


def _target(kind: str, name: str) -> _Target:
    found, _ = _targets(kind)
    if name not in found:
        raise UnknownNameError(kind, name, found)
    return found[name]


def _targets(kind: str) -> tuple[dict[str, _Target], list[_Target]]:
    """The plugins by name, and those whose name was taken: the built-in one keeps it."""
    group = f"bench.{KINDS[kind]}"
    candidates = [_Target(name, "built-in", f"{group}.{name}") for name in sorted(_folder_names(KINDS[kind]))]
    candidates += [
        _Target(path.stem, str(path), module)
        for module, path in _extra.items()
        if kind in _kinds_of_file(path)
    ]
    candidates += sorted(
        _Target(point.name, _distribution(point), *(part.strip() for part in point.value.split(":", 1)))
        for point in entry_points(group=group)
    )
    found: dict[str, _Target] = {}
    clashing = [target for target in candidates if found.setdefault(target.name, target) is not target]
    return found, clashing


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


def _unfinished(cls: type) -> str:
    return ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))


def _import(kind: str, target: _Target) -> ModuleType:
    try:
        if target.module in _extra:
            return _import_file(target.module, _extra[target.module])
        return importlib.import_module(target.module)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:  # whatever a foreign module raises while it is imported
        said = " ".join(str(error).split())
        place = locate(target.module) or target.module
        raise ContractError(
            f"{kind} {target.name!r} cannot be imported: {type(error).__name__}: {said}. See {place}."
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
        spec = _spec(top)
        if spec is None:
            return None
        if not rest and not spec.submodule_search_locations:
            return Path(spec.origin) if spec.origin else None
        roots = [Path(p) for p in spec.submodule_search_locations or ()]
    for root in roots:
        base = root.joinpath(*rest)
        if (base / "__init__.py").is_file():
            return base
        if rest and base.with_name(f"{base.name}.py").is_file():
            return base.with_name(f"{base.name}.py")
    return None


def _spec(top: str) -> ModuleSpec | None:
    """The spec of a top-level module, which is found without being imported."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # an empty name; a module in memory that has no spec
        return None


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


_UNREADABLE = (SyntaxError, OSError, ValueError)  # ValueError: not UTF-8, or null bytes


def _kinds_of_file(path: Path) -> set[str]:
    """What a --plugin file defines, by the bases of its classes; a report has ``render``."""
    try:
        tree = _parse(path)
    except _UNREADABLE:
        return {"method"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    bases = {ast.unparse(base).rpartition(".")[2] for node in classes for base in node.bases}
    kinds = {kind for kind, ending in _ENDINGS.items() if any(base.endswith(ending) for base in bases)}
    if any(isinstance(node, ast.FunctionDef) and node.name == "render" for node in tree.body):
        kinds.add("report")
    return kinds or {"method"}


def _listing(kind: str, target: _Target) -> Listing:
    path = locate(target.module)
    summary, broken = "", ""
    if path is None:
        broken = f"module {target.module!r} is not installed"
    else:
        summary, broken = _read(kind, target, path)
    return Listing(target.name, kind, target.origin, target.module, target.attribute, path, summary, broken)


def _taken(kind: str, target: _Target, owner: _Target) -> Listing:
    broken = f"the name is that of a {kind} from {owner.origin}"
    return Listing(target.name, kind, target.origin, target.module, target.attribute, None, "", broken)


def _read(kind: str, target: _Target, path: Path) -> tuple[str, str]:
    """First line of the docstring, and what is seen to be broken, from the source text alone."""
    main = path / "__init__.py" if path.is_dir() else path
    beside = sorted(path.rglob("*.py")) if path.is_dir() and target.origin == "built-in" else []
    summary = ""
    for file in dict.fromkeys([main, *beside]):
        try:
            tree = _parse(file)
        except _UNREADABLE as error:
            return summary, f"{type(error).__name__}: {' '.join(str(error).split())}"
        broken = _missing_import(tree)
        if file == main:
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            broken = broken or _missing_plugin(kind, target.attribute, tree)
        if broken:
            return summary, broken
    return summary, ""


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
            if top not in sys.modules and _spec(top) is None:
                return f"needs the module {top!r}, which is not installed"
    return ""


def _missing_plugin(kind: str, attribute: str, tree: ast.Module) -> str:
    """What the module does not define, as far as its text tells: an import may bring it in."""
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return ""
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    assigned = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    wanted = attribute or ("render" if kind == "report" else "")
    if wanted:
        return "" if wanted in classes | functions | imported | assigned else f"has no {wanted}"
    return "" if classes or imported - {"annotations"} else f"defines no {_BASES[kind].__name__}"


def docstring(plugin: Any) -> str:
    """The docstring of a plugin's class or function, without the signature that dataclasses put there."""
    doc = inspect.getdoc(plugin) or ""
    return "" if doc.startswith(f"{plugin.__name__}(") else doc
