"""The facts that a release states in several files agree, and every import is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import bench

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = {  # of modules whose distribution is called otherwise
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "open_clip": "open_clip_torch",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}


def imported() -> set[str]:
    """The distributions that the harness and its plugins import."""
    found = set()
    for folder in ("bench", "methods", "datasets", "reports"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return {NAMES.get(name, name.replace("_", "-")) for name in found - {"bench", *sys.stdlib_module_names}}


def test_every_import_is_declared() -> None:
    optional = PROJECT["optional-dependencies"].values()
    stated = [*PROJECT["dependencies"], *(entry for extra in optional for entry in extra)]
    declared = {re.match(r"[\w-]+", entry)[0] for entry in stated}  # type: ignore[index]
    assert imported() - declared == set()


def test_every_file_has_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert PROJECT["version"] == bench.__version__
    assert f"\nversion: {bench.__version__}\n" in citation


def test_the_changelog_dates_the_version_as_the_citation_does() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    date = re.search(r'date-released: "(.+)"', citation)
    assert date is not None
    assert f"## {bench.__version__} ({date[1]})\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
