"""Finds plugins. A plugin's name is the name of its file or folder, or of its entry point.

Nothing is imported until a plugin is requested: listing reads source text only, so it is
fast, and one broken plugin does not hide the others.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.abc import SourceLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
from bench.contract.dataset import DatasetSource
from bench.contract.encoder import Encoder
from bench.contract.method import Method
from bench.contract.metric import Metric
from bench.disk.reading import read_bytes
from bench.errors import BenchError, ContractError, FileError, UnknownNameError, said
from bench.plugins import reading

KINDS = {  # each with its folder, which is its group of entry points too: bench.methods
    "method": "methods",
    "dataset": "datasets",
    "report": "reports",
    "metric": "metrics",
    "encoder": "encoders",
}
_BASES = {"method": Method, "dataset": DatasetSource, "encoder": Encoder}
_BUILT_IN = "built-in"  # the origin of a plugin of hashbench
_OF_SESSION = "a class of this session"
_extra: dict[str, Path] = {}  # --plugin files: module name → path
_defined: dict[str, str] = {}  # those of them with a class of this session: module name → kind
_imported: dict[str, str] = {}  # module name → the version of its file that was imported
_admit: ContextVar[Callable[[Path], None] | None] = ContextVar("admit", default=None)


@dataclass(frozen=True, slots=True)
class Listing:
    """One plugin as its source text shows it: nothing of it has been imported."""

    name: str
    kind: str
    origin: str  # built-in, a distribution's name, or the path of a --plugin file
    module: str
    attribute: str  # of an entry point; "" means: what the module defines
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
    """Import the plugin called ``name``: a class, the ``render`` of a report, a metric with its variants."""
    target = _target(kind, name)
    module = _import(kind, target)
    where = f"{kind} {name!r} ({target.module}, {target.origin})"
    if target.attribute and not hasattr(module, target.attribute):
        raise ContractError(f"{where} has no {target.attribute}. Correct its entry point.")
    if kind == "report":
        return _render(where, getattr(module, target.attribute or "render", None))
    public = [target.attribute] if target.attribute else getattr(module, "__all__", vars(module))
    members = [getattr(module, name) for name in public]
    if not target.attribute:
        members = [m for m in members if _defined_in(getattr(m, "compute", m), target.module)]
    if kind == "metric":
        return _metrics(where, [m for m in members if isinstance(m, Metric)])
    return _one_class(where, _BASES[kind], [m for m in members if inspect.isclass(m)])


def _render(where: str, render: Any) -> Any:
    if not callable(render):
        raise ContractError(f"{where} has no function render(). Add one.")
    return render


def _metrics(where: str, members: list[Metric]) -> tuple[Metric, ...]:
    """The metrics that a module declares, each under one name or several, and none like another."""
    declared = tuple(dict.fromkeys(members))
    if not declared:
        raise ContractError(
            f"{where} declares no metric. Decorate a function with bench.metrics.metric(...)."
        )
    keys = [metric.key for metric in declared]
    for metric in declared:
        if keys.count(metric.key) > 1:
            raise ContractError(
                f"{where} declares two metrics with variant={metric.variant!r}. Give each its own variant."
            )
    return declared


def _one_class(where: str, base: type, classes: list[type]) -> type:
    """The class that derives from ``base`` and can be instantiated."""
    plugins = [c for c in dict.fromkeys(classes) if issubclass(c, base)]
    complete = [c for c in plugins if not inspect.isabstract(c)]
    if len(complete) != 1:
        shown = ", ".join(c.__name__ for c in complete) or "none"
        lacks = [f" {c.__name__} lacks {_unfinished(c)}." for c in plugins if c not in complete]
        raise ContractError(
            f"{where} must define exactly one {base.__name__}; found {shown}.{''.join(lacks)}"
        )
    return complete[0]


def is_built_in(kind: str, name: str) -> bool:
    """Whether the plugin belongs to hashbench, whose tests check it."""
    return _target(kind, name).origin == _BUILT_IN


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
    module = _module_of(path.stem)
    if _extra.get(module, path) != path:
        raise ContractError(f"plugin {path}: {_extra[module]} has the same name. Rename one of them.")
    for kind in reading.kinds(path):
        other = _targets(kind)[0].get(path.stem)
        if other is not None and other.module != module:
            raise ContractError(
                f"plugin {path}: the name {path.stem!r} belongs to {_owner(kind, other)}. Rename the file."
            )
    _extra[module] = path
    return path.stem


def add_defined(kind: str, path: Path) -> str:
    """Make a class known that was defined in this process and written to ``path``, under the file's name.

    A later definition takes the place of an earlier one, and nothing of other plugins.
    """
    module = _module_of(path.stem)
    if module not in _defined:
        for name, other in _targets(kind)[0].items():
            if name.lower() == path.stem.lower():
                raise ContractError(
                    f"class {path.stem}: the name {name!r} belongs to {_owner(kind, other)}. Rename it."
                )
    _extra[module], _defined[module] = path, kind
    return path.stem


def is_defined(name: str) -> bool:
    """Whether the plugin is a class of this session, by :func:`add_defined`."""
    return _module_of(name) in _defined


def name_of(kind: str, cls: type) -> str:
    """The name of the plugin in whose module a class is defined, or ""."""
    home = cls.__module__
    names = (
        t.name for t in _targets(kind)[0].values() if t.module == home and t.attribute in ("", cls.__name__)
    )
    return next(names, "")


def add_named(path: Path) -> None:
    """Add a file that a study names, once whoever asks (:func:`asking`) has let it in."""
    admit, known = _admit.get(), path.resolve() in _extra.values()
    if admit is not None and not known:
        admit(path.resolve())
    add_file(path)


@contextmanager
def asking(admit: Callable[[Path], None]) -> Iterator[None]:
    """Inside the block, ``admit`` sees each plugin file of a study before it is read, and may raise."""
    before = _admit.set(admit)
    try:
        yield
    finally:
        _admit.reset(before)


def _owner(kind: str, target: _Target) -> str:
    return f"a built-in {kind}" if target.origin == _BUILT_IN else f"a {kind} from {target.origin}"


def added_files() -> list[Path]:
    """The --plugin files, and those of classes of this session."""
    return list(_extra.values())


def adopted() -> dict[str, list[str]]:
    """Path and kind ("" for a plugin file) of those files by module, as :func:`adopt` takes them."""
    return {module: [str(path), _defined.get(module, "")] for module, path in _extra.items()}


def adopt(files: Mapping[str, Sequence[str]]) -> None:
    """Know the files that another process has checked and added."""
    for module, (path, kind) in files.items():
        _extra[module] = Path(path)
        if kind:
            _defined[module] = kind


def member(module: str, name: str) -> Any:
    """A plugin's class where another process found it: quick, since nothing is searched."""
    loaded = _import_file(module, _extra[module]) if module in _extra else importlib.import_module(module)
    return functools.reduce(getattr, name.split("."), loaded)


def version(name: str) -> str:
    """A digest of the --plugin file of this name as it is now; "" for a plugin from elsewhere.

    Whatever is remembered of a plugin is remembered of a version: an edited file counts at once.
    """
    path = _extra.get(_module_of(name))
    return "" if path is None else _version(_content(path))


def file_modules() -> list[ModuleType]:
    """The modules of those files that have been imported."""
    return [sys.modules[name] for name in _extra if name in sys.modules]


def _target(kind: str, name: str) -> _Target:
    if name in _folder_names(KINDS[kind]):  # which are always first: no need to search what is installed
        return _built_in(kind, name)
    found, _ = _targets(kind)
    if name not in found:
        raise UnknownNameError(kind, name, found)
    return found[name]


def _targets(kind: str) -> tuple[dict[str, _Target], list[_Target]]:
    """The plugins by name, and those whose name belongs to another: the built-in one keeps it."""
    candidates = [_built_in(kind, name) for name in sorted(_folder_names(KINDS[kind]))]
    candidates += [
        _Target(path.stem, str(path), module)
        for module, path in _extra.items()
        if module not in _defined and kind in reading.kinds(path)
    ]
    candidates += [
        _Target(path.stem, _OF_SESSION, module)
        for module, path in _extra.items()
        if _defined.get(module) == kind
    ]
    candidates += sorted(
        _Target(point.name, _distribution(point), *(part.strip() for part in point.value.split(":", 1)))
        for point in entry_points(group=f"bench.{KINDS[kind]}")
    )
    found: dict[str, _Target] = {}
    clashing = [target for target in candidates if found.setdefault(target.name, target) is not target]
    return found, clashing


def _built_in(kind: str, name: str) -> _Target:
    return _Target(name, _BUILT_IN, f"bench.{KINDS[kind]}.{name}")


def _folder_names(folder: str) -> Iterator[str]:
    for root in bench.__path__:
        for path in (Path(root) / folder).glob("*"):
            is_plugin = path.suffix == ".py" or (path / "__init__.py").is_file()
            if is_plugin and not path.name.startswith(("_", ".")):
                yield path.stem


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an installed distribution"


def _defined_in(member: Any, module_name: str) -> bool:
    return f"{getattr(member, '__module__', '')}.".startswith(f"{module_name}.")


def _unfinished(cls: type) -> str:
    return ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))


def _import(kind: str, target: _Target) -> ModuleType:
    try:
        if target.module in _extra:
            return _import_file(target.module, _extra[target.module])
        return importlib.import_module(target.module)
    except BenchError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign module raises while it is imported
        place = locate(target.module) or target.module
        reason = f"{type(error).__name__}: {' '.join(said(error))}"
        raise ContractError(f"{kind} {target.name!r} cannot be imported: {reason}. See {place}.") from error


def _import_file(module_name: str, path: Path) -> ModuleType:
    """The module of a file, executed again where the file has changed since."""
    content = _content(path)
    if module_name not in sys.modules or _imported.get(module_name) != _version(content):
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None and isinstance(spec.loader, SourceLoader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:  # not by exec_module(), which takes a file of the same size and second for the same
            exec(spec.loader.source_to_code(content, str(path)), vars(module))  # noqa: S102
        except BaseException:
            del sys.modules[module_name]
            raise
        _imported[module_name] = _version(content)
    return sys.modules[module_name]


def _module_of(name: str) -> str:
    return f"bench_plugin_{name}"


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileError as error:
        raise ContractError(f"plugin {error}. Give the path of a .py file.") from error


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def locate(module_name: str) -> Path | None:
    """The file (or package folder) of a module, without importing it or its parents."""
    if module_name in _extra:
        return _extra[module_name]
    top, *rest = module_name.split(".")
    roots: list[Path] = [Path(p) for p in bench.__path__] if top == "bench" else []
    if not roots:
        spec = reading.spec(top)
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


def _listing(kind: str, target: _Target) -> Listing:
    path = locate(target.module)
    summary, broken = "", f"module {target.module!r} is not installed"
    if path is not None:
        main = path / "__init__.py" if path.is_dir() else path
        beside = sorted(path.rglob("*.py")) if path.is_dir() and target.origin == _BUILT_IN else []
        summary, broken = reading.summary(kind, target.attribute, main, beside)
    return Listing(target.name, kind, target.origin, target.module, target.attribute, path, summary, broken)


def _taken(kind: str, target: _Target, owner: _Target) -> Listing:
    broken = f"that name belongs to {_owner(kind, owner)}"
    return Listing(target.name, kind, target.origin, target.module, target.attribute, None, "", broken)


def docstring(plugin: Any) -> str:
    """The docstring of a plugin's class or function, without the signature that dataclasses put there."""
    doc = inspect.getdoc(plugin) or ""
    return "" if doc.startswith(f"{plugin.__name__}(") else doc
