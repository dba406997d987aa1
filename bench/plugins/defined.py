"""Classes defined in a notebook or a script, written with all that they use as plugin files.

A file of plain source serves every process, has a fingerprint like any other plugin, and can be kept.
The trap: the values of a notebook change, so the file holds those of the moment at which a run begins.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import hashlib
import inspect
import linecache
import symtable
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from bench.contract.dataset import DatasetSource
from bench.contract.method import Method
from bench.disk import writing
from bench.errors import ContractError
from bench.plugins import registry

_HEAD = '"""{}: a class of a notebook or script, and what it uses, as they were when a run began."""\n'
_FUTURE = "from __future__ import annotations\n"
_FACES = ("bench.api", "typing", "numpy", "numpy.typing", "math")  # where an object without a home may be
_MISSING = object()


def add(cls: type, folder: Path) -> str:
    """Make a class known under its own name, from a file below ``folder``; returns the name.

    A class of a plugin is known already. Raises ContractError for a class whose source is not available, or
    that uses what a file of source cannot hold.
    """
    kind = next(
        (k for k, base in (("method", Method), ("dataset", DatasetSource)) if issubclass(cls, base)), ""
    )
    if not kind:
        raise ContractError(
            f"{cls.__name__} is no Method and no DatasetSource. Inherit from one of bench.api."
        )
    if name := registry.name_of(kind, cls):
        return name
    content = _File(cls).text.encode()
    path = folder / hashlib.sha256(content).hexdigest()[:16] / f"{cls.__name__}.py"
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.replace_bytes(path, content)
    return registry.add_defined(kind, path)


class _File:
    """The source of a class, after that of what it uses, in an order in which it can be executed."""

    def __init__(self, cls: type) -> None:
        self.owner, self.home = cls.__name__, cls.__module__
        self._imports: dict[str, None] = {}
        self._parts: list[str] = []
        self._seen: set[str] = set()
        self._future = False
        self._define(cls)
        imports = "".join(f"{line}\n" for line in sorted(self._imports))
        head = _HEAD.format(self.owner) + "\n" + (_FUTURE + "\n" if self._future else "")
        public = f'__all__ = ["{self.owner}"]\n'
        self.text = "\n\n".join([f"{head}{imports}\n{public}", *self._parts])

    def _define(self, thing: Any) -> None:
        """Add the definition of a class or function of the same module, after what it needs."""
        self._seen.add(thing.__name__)
        functions = list(_functions(thing))
        text = _definition(thing, functions)
        if text is None:
            raise ContractError(
                f"{self.owner}: the source of {thing.__qualname__} is not available, and results are stored "
                "with the fingerprint of their source. Define it at the top level of a notebook cell or of a "
                "file, or write it to a file: plugin='mine.py'."
            )
        future = any(f.__code__.co_flags & __future__.annotations.compiler_flag for f in functions)
        self._future |= future
        values = next((f.__globals__ for f in functions), vars(sys.modules[thing.__module__]))
        tree = ast.parse(text)
        for name in _globals((_FUTURE if future else "") + text):
            self._bring(name, values, tree)
        for name in _annotated(tree):
            with suppress(ContractError):  # an annotation that nobody evaluates
                self._bring(name, values, tree)
        self._parts.append(text)

    def _bring(self, name: str, values: dict[str, Any], tree: ast.Module) -> None:
        """Add what a global name stands for, once."""
        value = values.get(name, _MISSING)
        if value is _MISSING or name in self._seen:  # a name that exists nowhere is an error when it is used
            return
        if isinstance(value, ModuleType):
            renamed = f" as {name}" if name != value.__name__ else ""
            self._imports[f"import {value.__name__}{renamed}"] = None
            self._imports.update(dict.fromkeys(_submodules(name, value, tree)))
            return
        origin = inspect.unwrap(value) if callable(value) else value
        if getattr(origin, "__module__", None) == self.home and isinstance(origin, (type, FunctionType)):
            if origin.__name__ not in self._seen:
                self._define(origin)
            if origin.__name__ != name:
                self._add_value(name, origin.__name__)
        elif line := _import(name, value):
            self._imports[line] = None
        elif _is_plain(value):
            self._add_value(name, repr(value))
        else:
            raise ContractError(
                f"{self.owner} uses {name}, which is {_kind(value)}; expected "
                "modules, functions, classes, and plain numbers and texts, which are stored with its source. "
                "Make it a parameter, or load it inside the class."
            )

    def _add_value(self, name: str, text: str) -> None:
        self._seen.add(name)
        self._parts.append(f"{name} = {text}\n")


def _functions(thing: Any) -> Iterator[FunctionType]:
    """The functions of a class, or the function itself, without what decorators put around them."""
    members = vars(thing).values() if isinstance(thing, type) else [thing]
    for member in members:
        for name in ("__func__", "fget", "func"):
            if isinstance(member, (classmethod, staticmethod, property, cached_property)):
                member = getattr(member, name, member)
        function = inspect.unwrap(member) if callable(member) else None
        if isinstance(function, FunctionType) and linecache.getlines(function.__code__.co_filename):
            yield function


def _definition(thing: Any, functions: list[FunctionType]) -> str | None:
    """The source of a class or function at the top level of its cell or file; None where there is none."""
    if thing.__qualname__ != thing.__name__:
        return None
    files = [(f.__code__.co_filename, f.__code__.co_firstlineno) for f in functions]
    if not files:
        with suppress(TypeError, OSError):
            files = [(inspect.getfile(thing), inspect.findsource(thing)[1] + 1)]
    for file, line in files:
        lines = linecache.getlines(file)
        for node in ast.parse("".join(lines)).body:
            if getattr(node, "name", "") == thing.__name__ and node.end_lineno:
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
                if first <= line <= node.end_lineno:
                    return "".join(lines[first - 1 : node.end_lineno]).rstrip() + "\n"
    return None


def _globals(text: str) -> list[str]:
    """The global names that a definition reads, without those of Python."""
    names: dict[str, None] = {}
    tables = [symtable.symtable(text, "definition", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                names[symbol.get_name()] = None
    return sorted(name for name in names if not hasattr(builtins, name))


def _annotated(tree: ast.Module) -> list[str]:
    """The names in the annotations of a definition, which may be texts when it is executed."""
    notes = [getattr(node, part, None) for node in ast.walk(tree) for part in ("annotation", "returns")]
    inside = [node for note in notes if note is not None for node in ast.walk(note)]
    return sorted({node.id for node in inside if isinstance(node, ast.Name)})


def _submodules(name: str, module: ModuleType, tree: ast.Module) -> Iterator[str]:
    """Imports of the submodules that a definition reaches through a module: ``scipy.linalg`` of ``scipy``."""
    for node in ast.walk(tree):
        chain = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        full = module.__name__ + chain.removeprefix(name)
        if chain.startswith(f"{name}.") and full in sys.modules:
            yield f"import {full}"


def _import(name: str, value: Any) -> str:
    """The statement that imports an object of another module, or ""."""
    key = getattr(value, "__name__", name)
    for module in (*_FACES, getattr(value, "__module__", None)):
        if module != "__main__" and getattr(sys.modules.get(str(module)), str(key), _MISSING) is value:
            return f"from {module} import {key}" + (f" as {name}" if name != key else "")
    return ""


def _is_plain(value: Any) -> bool:
    """Whether a value can be written into source and is the same there."""
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        again = ast.literal_eval(repr(value))
        return type(again) is type(value) and bool(again == value)
    return False


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' or name == 'ndarray' else 'a'} {name}"
