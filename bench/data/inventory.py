"""A dataset's state below the data root: its files compared with its card, its views, its findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract.card import Card, Counts, Expected, variant_of
from bench.data import doctor, download, seen
from bench.data.doctor import Finding
from bench.data.views.files import read_manifest
from bench.data.views.prepare import differences, validate_raw
from bench.data.views.source import RawSource
from bench.errors import DataError
from bench.progress import amount


@dataclass(frozen=True, slots=True)
class File:
    """One file of a card and its state: ``present``, ``unpacked``, ``missing`` or ``wrong``."""

    expected: Expected
    state: str
    text: str  # the problem, or how to get the file


def files(card: Card, home: Path, *, checksums: bool = False) -> Iterator[File]:
    """The state of every file of the card; ``checksums`` compares those too, which takes a while."""
    for expected in card.files:
        path = home / expected.path
        if path.is_file():
            problem = download.wrong(expected, home) if checksums else ""
            yield File(expected, "wrong" if problem else "present", problem)
        elif download.is_unpacked(expected, home) or _is_folder(path):
            yield File(expected, "unpacked", "")
        else:
            how = f"bench data get {card.name}" if expected.url else expected.note or "ask its owners"
            yield File(expected, "missing", how)


def _is_folder(path: Path) -> bool:
    """Whether an archive was unpacked by hand into a folder of its name."""
    is_archive = path.suffix in (".zip", ".rar", ".gz", ".tgz")
    return is_archive and path.with_name(path.name.partition(".")[0]).is_dir()


def views(home: Path) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Modality, name and manifest of every prepared view, by folder."""
    prepared: list[tuple[str, str, Mapping[str, Any]]] = []
    for path in sorted(home.glob("views/*/[!.]*/[!.]*/manifest.json")):
        manifest = read_manifest(path.parent)
        if manifest is not None:
            prepared.append((path.parents[2].name, path.parents[1].name, manifest))
    return prepared


def findings(source: Any, root: Path) -> list[Finding]:
    """The findings on a dataset: on its files, its counts, its items, then its arrays."""
    listed: list[Finding] = []
    if source.card is not None:
        listed += _of_files(source.card, root / source.card.name, variant_of(source))
    if isinstance(source, RawSource):
        listed += _of_raw(source, root)
    try:
        dataset = source.load(root)
    except DataError as error:
        return [*listed, Finding("FAIL", "arrays", str(error))]
    return [*listed, *doctor.examine(dataset)]


def _of_files(card: Card, home: Path, variant: str) -> Iterator[Finding]:
    for file in files(card, home, checksums=True):
        topic = file.expected.path
        if file.state == "wrong":
            yield Finding("FAIL", topic, f"{file.text}. Delete it and download it again.")
        elif file.state == "missing" and file.expected.needed(variant):
            yield Finding("WARN", topic, f"is missing: {file.text}")
        elif file.state == "present":
            size = amount((home / topic).stat().st_size, "bytes")
            yield Finding("PASS", topic, f"{size}; {_checked(file.expected, home)}")


def _checked(expected: Expected, home: Path) -> str:
    """Which checksum of a file matches."""
    if seen.first(expected, home):
        return "sha256 matches the first download; the owners publish none"
    kind, _ = expected.checksum
    return f"{kind} matches" if kind else "no checksum is published"


def _of_raw(source: RawSource, root: Path) -> Iterator[Finding]:
    try:
        raw = source.raw(root)
        assert raw is not None
        validate_raw(source.card.name, raw)
    except DataError as error:
        yield Finding("WARN", "raw files", str(error))
        return
    published = source.card.counts.get(variant_of(source), Counts()).pairs  # else nobody has numbers
    if other := differences(source, raw):
        yield Finding(
            "WARN", "counts", f"{'; '.join(other)}. Results are not comparable with published ones."
        )
    else:
        pairs = len(raw.train) + len(raw.query)
        shown = f"{pairs} pairs, {len(raw.query)} queries, {len(raw.classes)} classes"
        yield Finding("PASS", "counts", f"{shown}, as published" if published else shown)
    for note in raw.notes:
        yield Finding("PASS", "note", note)
    used = np.concatenate([raw.train, raw.query])
    empty = sum(not raw.texts[row].strip() for row in used)
    yield Finding(
        "WARN" if empty else "PASS", "empty texts", f"{empty} of {len(used)} items have an empty text"
    )
    train = {raw.texts[row] for row in raw.train}
    shared = sum(raw.texts[row] in train for row in raw.query)
    yield Finding(
        "WARN" if shared / len(raw.query) > 0.01 else "PASS",
        "equal texts",
        f"{shared} of {len(raw.query)} queries have the text of a training item",
    )
