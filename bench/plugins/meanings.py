"""Remembers what Python reads of a source text, so that each text is parsed only once.

The memory lies in the user's cache, one file for each text, by the digest of the text. Another version of
Python, or of this file, has a folder of its own.
"""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from bench.disk import places, writing
from bench.disk.form import mismatch
from bench.disk.reading import read_json
from bench.errors import FileError

_FOLDERS = ("bench.methods.", "bench.datasets.", "bench.reports.", "bench.encoders.")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Meaning:
    """``digest`` ignores comments, docstrings and layout; ``modules`` are those of plugin folders.

    The latter are all that the text may import: ``from a import b`` names ``a`` and ``a.b``.
    """

    digest: str
    modules: tuple[str, ...]


@cache
def of(text: str) -> Meaning:
    """The meaning of a source text. Raises SyntaxError."""
    path = _folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    remembered = _remembered(path)
    if remembered is not None:
        return remembered
    meaning = _parsed(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.replace_bytes(path, json.dumps(asdict(meaning)).encode(), lasting=False)
    except OSError as error:
        _log.info("%s: %s; the text is parsed again next time", path, error)
    return meaning


def _remembered(path: Path) -> Meaning | None:
    try:
        stored = read_json(path)
    except FileError:  # none yet, or none that can be read: the text is parsed
        return None
    fits = not mismatch(stored, Meaning, "meaning")
    return Meaning(stored["digest"], tuple(stored["modules"])) if fits else None


def _folder() -> Path:
    return places.cache() / "meanings" / _version()


@cache
def _version() -> str:
    return hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes()).hexdigest()[:16]


def _parsed(text: str) -> Meaning:
    tree = ast.parse(text)
    modules = tuple(module for module in _imports(tree) if module.startswith(_FOLDERS))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
    return Meaning(hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), modules)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
