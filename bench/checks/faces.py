"""Which parts of bench a plugin may import, read from its source text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from bench.errors import ContractError
from bench.plugins import fingerprint

FACES = ("api", "reporting", "errors", "records", "metrics")
_PLUGINS = ("methods", "datasets", "reports", "encoders")  # helpers, and other plugins


def it_imports_only_the_faces(kind: str, name: str) -> None:
    """Raise :class:`ContractError` where a plugin, or a helper that it imports, imports more of bench."""
    for file in fingerprint.sources(kind, name):
        for module in _imported(file):
            if module.split(".")[1] not in (*FACES, *_PLUGINS):
                raise ContractError(
                    f"{file.name} imports {module}, which may change at any time; expected "
                    f"{', '.join(f'bench.{face}' for face in FACES)}. Import it from one of these."
                )


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "bench":
            yield from (f"bench.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("bench."))
