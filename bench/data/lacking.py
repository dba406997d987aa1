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
        problem = str(error)
    else:
        if not absent:
            return []
        problem = f"{absent[0]}: no such file"
    card = source.card
    missing = [] if card is None else list(_missing(card, root, variant_of(source)))
    steps = [] if card is None else list(_downloads(card, source, root, missing))
    if isinstance(source, RawSource) and (command := source.command(root)) in problem:
        steps.append(command)
    if card is not None and missing:
        problem = f"missing: {', '.join(str(root / card.name / file.expected.path) for file in missing)}"
    return [problem, *(f"{i}. {step}" for i, step in enumerate(steps, start=1))]


def _missing(card: Card, root: Path, variant: str) -> Iterator[File]:
    for file in inventory.files(card, root / card.name):
        if file.state == "missing" and file.expected.needed(variant):
            yield file


def _downloads(card: Card, source: DatasetSource, root: Path, missing: list[File]) -> Iterator[str]:
    """One command for all files that have an address, then the others, by hand."""
    if any(file.expected.url for file in missing):
        name = source.selector(without=VIEWS) if isinstance(source, RawSource) else card.name
        yield shlex.join(["bench", "data", "get", name, "--data-root", str(root)])
    yield from (f"by hand: {file.expected.path} ({file.text})" for file in missing if not file.expected.url)
