"""Names the files and views that a dataset lacks before a run can load it, and the steps that get them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from bench.contract.card import Card, variant_of
from bench.contract.dataset import DatasetSource
from bench.data import inventory
from bench.data.inventory import File
from bench.data.views.source import VIEWS, RawSource
from bench.errors import DataError


def lines(source: DatasetSource, root: Path) -> list[str]:
    """The missing files or views, then one step per line; nothing if the files that a run reads exist.

    Reads no more than manifests, so a damaged file may still stop the run.
    """
    try:
        absent = [path for path in source.files(root) if not path.exists()]
    except DataError as error:
        reason = str(error)
    else:
        if not absent:
            return []
        reason = f"{absent[0]}: no such file"
    card = source.card
    missing = [] if card is None else list(_missing(card, root, variant_of(source)))
    if missing:
        assert card is not None, "it lists the files"
        reason = f"missing: {', '.join(str(root / card.name / file.expected.path) for file in missing)}"
    return [reason, *(f"{i}. {step}" for i, step in enumerate(_steps(source, root, missing), start=1))]


def _missing(card: Card, root: Path, variant: str) -> Iterator[File]:
    for file in inventory.files(card, root / card.name):
        if file.state == "missing" and file.expected.needed(variant):
            yield file


def _steps(source: DatasetSource, root: Path, missing: list[File]) -> Iterator[str]:
    """One download of all files that have an address, the others by hand, then the preparation."""
    raw = source if isinstance(source, RawSource) else None
    if source.card is not None and any(file.expected.url for file in missing):
        name = source.card.name if raw is None else raw.selector(without=VIEWS)
        yield shlex.join(["bench", "data", "get", name, "--data-root", str(root)])
    yield from (f"by hand: {f.expected.path} ({f.text})" for f in missing if not f.expected.url)
    if raw is not None:
        yield raw.command(root)
