"""What there is of a dataset below the data root: its files beside its card, its views, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract.card import Card, Counts, Expected, variant_of
from bench.data import doctor, download
from bench.data.doctor import Finding
from bench.data.views.files import read_manifest
from bench.data.views.prepare import validate_raw
from bench.data.views.source import RawSource
from bench.errors import DataError
from bench.progress import amount


@dataclass(frozen=True, slots=True)
class File:
    """One file of a card and how it stands: ``there``, ``unpacked``, ``missing`` or ``wrong``."""

    expected: Expected
    state: str
    text: str  # what is wrong, or how to get it


def files(card: Card, home: Path, *, sums: bool = False) -> Iterator[File]:
    """Every file of the card; ``sums`` reads those with a checksum, which takes a while."""
    for expected in card.files:
        path = home / expected.path
        if path.is_file():
            problem = download.wrong(expected, path) if sums else ""
            yield File(expected, "wrong" if problem else "there", problem)
        elif download.is_unpacked(expected, home):
            yield File(expected, "unpacked", "")
        else:
            how = f"bench data get {card.name}" if expected.url else expected.note or "ask its owners"
            yield File(expected, "missing", how)


def views(home: Path) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Modality, name and manifest of every prepared view, by folder."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for path in sorted(home.glob("views/*/[!.]*/[!.]*/manifest.json")):
        manifest = read_manifest(path.parent)
        if manifest is not None:
            found.append((path.parents[2].name, path.parents[1].name, manifest))
    return found


def findings(source: Any, root: Path) -> list[Finding]:
    """The lint of a dataset with a card: its files, its counts, its items, then its arrays."""
    found: list[Finding] = []
    if source.card is not None:
        found += _of_files(source.card, root / source.card.name, variant_of(source))
    if isinstance(source, RawSource):
        found += _of_raw(source, root)
    try:
        dataset = source.load(root)
    except DataError as error:
        return [*found, Finding("FAIL", "arrays", str(error))]
    return [*found, *doctor.examine(dataset)]


def _of_files(card: Card, home: Path, variant: str) -> Iterator[Finding]:
    for file in files(card, home, sums=True):
        topic = file.expected.path
        if file.state == "wrong":
            yield Finding("FAIL", topic, f"{file.text}. Delete it and get it again.")
        elif file.state == "missing" and file.expected.needed(variant):
            yield Finding("WARN", topic, f"is not there: {file.text}")
        elif file.state == "there":
            size = amount((home / topic).stat().st_size, "bytes")
            kind, _ = file.expected.checksum
            known = f"{kind} as expected" if kind else "no checksum is published"
            yield Finding("PASS", topic, f"{size}; {known}")


def _of_raw(source: RawSource, root: Path) -> Iterator[Finding]:
    try:
        raw = source.raw(root)
        assert raw is not None
        validate_raw(source.card.name, raw)
    except DataError as error:
        yield Finding("WARN", "raw files", str(error))
        return
    here = Counts(
        pairs=len(raw.train) + len(raw.query),
        queries=len(raw.query),
        classes=len(raw.classes),
        words=len(raw.vocabulary),
    )
    usual = source.card.counts.get(variant_of(source), Counts())
    other = here.differences(usual) if usual.pairs else ()  # else the field has no numbers
    if other:
        yield Finding("WARN", "counts", f"{'; '.join(other)}. Figures do not compare with the field's.")
    else:
        shown = f"{here.pairs} pairs, {here.queries} queries, {here.classes} classes"
        yield Finding("PASS", "counts", f"{shown}, as the field has them" if usual.pairs else shown)
    for note in raw.notes:
        yield Finding("PASS", "note", note)
    used = np.concatenate([raw.train, raw.query])
    empty = sum(not raw.texts[row].strip() for row in used)
    yield Finding(
        "WARN" if empty else "PASS", "empty texts", f"{empty} of {len(used)} items have a text without a word"
    )
    train = {raw.texts[row] for row in raw.train}
    twice = sum(raw.texts[row] in train for row in raw.query)
    share = twice / len(raw.query)
    yield Finding(
        "WARN" if share > 0.01 else "PASS",
        "equal texts",
        f"{twice} of {len(raw.query)} queries have a text that a training item has, too",
    )
