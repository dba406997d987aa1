"""Reports which prepared views a run can use, and which are missing for which methods."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.contract.items import MODALITIES, Modality
from bench.contract.validate import validate_dataset
from bench.data.views import files
from bench.data.views.files import Items
from bench.data.views.names import View
from bench.data.views.source import RawSource
from bench.errors import BenchError, DataError
from bench.isolation import declarations
from bench.plugins import registry

_MOST_NAMES = 6


def report(source: RawSource, root: Path, prepared: Iterable[View]) -> Iterator[str]:
    """Lines on what a run would load: the command for it, or the views that are missing and who needs them.

    ``prepared`` are views that exist now, whether the dataset's options name them or not. Raises DataError
    where the arrays are invalid.
    """
    items = files.open_items(source.items_folder(root))
    assert items is not None, "the items were parsed before"
    parts = [(role, m, view) for role, view in source.views().items() for m in _modalities(role)]
    missing = [part for part in parts if not _exists(source, root, part[1], part[2], items)]
    if not missing:
        validate_dataset(source.load(root))
        yield f"ready: {_run(source, root)}"
        return
    usable = [f"{m} {view}" for role, m, view in parts if (role, m, view) not in missing]
    usable += [f"{m} {view}" for view in prepared for m in view.modalities]
    yield f"prepared: {', '.join(dict.fromkeys(usable)) or 'none of the views'}"
    for role in dict.fromkeys(role for role, _, _ in missing):
        of_role = [f"{m} {view}" for r, m, view in missing if r == role]
        yield f"still missing: {', '.join(of_role)}, for {_users(role)}"
    views = ",".join(dict.fromkeys(str(view) for _, _, view in missing))
    words = ["bench", "data", "prepare", source.selector(), "--views", views, "--data-root", str(root)]
    yield f"prepare the rest: {shlex.join(words)}"
    other = _with_prepared(source, list(prepared), {role for role, _, _ in missing})
    if other is not None:
        yield f"ready without it: {_run(other, root)}"


def _modalities(role: str) -> Sequence[Modality]:
    return [m for m in MODALITIES if role in (m, "clip")]


def _exists(source: RawSource, root: Path, modality: Modality, view: View, items: Items) -> bool:
    folder = source.view_folder(root, modality, view, items.rows)
    try:
        return files.read_manifest(folder) is not None
    except DataError:  # of another version, which is to be prepared again
        return False


def _users(role: str) -> str:
    """The methods that use the features of a role."""
    if role in MODALITIES:
        return "every method"
    names = []
    for name in registry.names("method"):
        try:
            needs = declarations.method(name).capabilities
        except BenchError:  # a broken plugin needs nothing
            continue
        if role in needs.views or role == needs.encodes:
            names.append(name)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _with_prepared(source: RawSource, prepared: list[View], missing: set[str]) -> RawSource | None:
    """The same dataset with prepared views in place of missing ones, and without ``clip`` if that is one."""
    options: dict[str, Any] = {"clip": None} if "clip" in missing else {}
    for role in missing - {"clip"}:
        usable = [view for view in prepared if role in view.modalities]
        if not usable:
            return None
        options[role] = str(usable[0])
    return dataclasses.replace(source, **options)


def _run(source: RawSource, root: Path) -> str:
    return shlex.join(["bench", "run", "--datasets", source.selector(), "--data-root", str(root)])
