"""Reads the source text of a plugin without importing it: its kinds, its summary, and why it is broken."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

BASES = {"method": "Method", "dataset": "DatasetSource", "encoder": "Encoder"}  # the others are functions
_ENDINGS = {"method": "Method", "dataset": "Source"}  # of the names of those and of what derives from them
_UNREADABLE = (SyntaxError, OSError, ValueError)  # ValueError: not UTF-8, or null bytes


def kinds(path: Path) -> set[str]:
    """The kinds of plugins that a file defines; a file without any is listed as a broken method."""
    try:
        tree = _parse(path)
    except _UNREADABLE:
        return {"method"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    bases = {ast.unparse(base).rpartition(".")[2] for node in classes for base in node.bases}
    found = {kind for kind, ending in _ENDINGS.items() if any(base.endswith(ending) for base in bases)}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found |= {"encoder"} if "Encoder" in bases else set()
    found |= {"report"} if any(node.name == "render" for node in functions) else set()
    found |= {"metric"} if _declares_metric(functions) else set()
    return found or {"method"}


def summary(kind: str, attribute: str, main: Path, beside: Sequence[Path]) -> tuple[str, str]:
    """First line of the docstring of ``main``, and why the plugin is broken, or "".

    ``attribute`` is that of an entry point, or ""; ``beside`` are the other files of a folder.
    """
    line = ""
    for file in dict.fromkeys([main, *beside]):
        try:
            tree = _parse(file)
        except _UNREADABLE as error:
            return line, f"{type(error).__name__}: {' '.join(str(error).split())}"
        broken = _missing_import(tree)
        if file == main:
            line = (ast.get_docstring(tree) or "").partition("\n")[0]
            broken = broken or _missing_plugin(kind, attribute, tree)
        if broken:
            return line, broken
    return line, ""


def spec(top: str) -> ModuleSpec | None:
    """The spec of a top-level module, which is found without being imported."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # an empty name; a module in memory that has no spec
        return None


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def _declares_metric(functions: Sequence[ast.FunctionDef]) -> bool:
    calls = [d.func for node in functions for d in node.decorator_list if isinstance(d, ast.Call)]
    return any(ast.unparse(call).rpartition(".")[2] == "metric" for call in calls)


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
            if top not in sys.modules and spec(top) is None:
                return f"needs the module {top!r}, which is not installed"
    return ""


def _missing_plugin(kind: str, attribute: str, tree: ast.Module) -> str:
    """What the module does not define, as far as its text tells: an import may bring it in."""
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes):
        return ""
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    wanted = attribute or ("render" if kind == "report" else "")
    if wanted:
        defined = classes | imported | assigned | {node.name for node in functions}
        return "" if wanted in defined else f"has no {wanted}"
    if kind == "metric":
        return "" if _declares_metric(functions) else "declares no metric"
    return "" if classes or imported - {"annotations"} else f"defines no {BASES[kind]}"
