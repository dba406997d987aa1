"""One archive of a study that anybody can check: records, arrays, sources, versions, and digests."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import __version__
from bench.archive import beside
from bench.archive.unpack import FORMAT, MANIFEST, RESULTS
from bench.disk.reading import read_bytes
from bench.errors import FileError, StoreError
from bench.plugins import registry
from bench.records import RunRecord
from bench.reporting import columns, writing
from bench.storing.reading import file_name
from bench.storing.store import Store, stale_reasons

ENVIRONMENT, STUDY, PLUGINS = "environment.json", "study.toml", "plugins"

Content = Path | bytes  # of a file in the archive: where it is, or itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The archive that was written: its cells, how many of them are stale, its bytes, and its SHA-256."""

    cells: int
    stale: int
    size: int
    digest: str


def publish(store: Store, target: Path, *, study: Path | None = None, by: str = "") -> Published:
    """Write every cell of a store into the archive ``target``; equal stores give equal bytes.

    It holds the records with their arrays, kept models and measured indexes, the study file, the sources of
    methods and datasets that are not built in, and the versions that the cells ran with; ``by`` names who
    publishes it. Raises StoreError where a record has a fault, a model or an index does not belong to its
    cell, and where the source of a method is not known.
    """
    records = store.records(anew=True)
    for name, reason in store.faults.items():
        raise StoreError(f"{store.folder / name}: {reason}. Run it again, or delete it, and publish then.")
    if not records:
        raise StoreError(f"results folder {store.folder} holds no record. Run `bench run` first.")
    for record in records:
        for path, problem in beside.faults(store, record):
            raise StoreError(f"{path}: {problem}, or delete it, and publish then.")
    columns.check_chance(records)
    sources = dict(_sources(records))
    files = {**dict(_results(store, records)), **sources, ENVIRONMENT: _environment(records, sources)}
    if study is not None:
        files[STUDY] = _read(study)
    writing.atomically(target, lambda path: _pack(path, files, by))
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    stale, size = len(stale_reasons(records)), target.stat().st_size
    return Published(cells=len(records), stale=stale, size=size, digest=digest)


def _read(study: Path) -> bytes:
    try:
        return read_bytes(study)
    except FileError as error:
        raise StoreError(f"study file {study} cannot be read: {error.reason}. Check --study.") from error


def _results(store: Store, records: Sequence[RunRecord]) -> Iterator[tuple[str, Content]]:
    for record in records:
        kept = [path.name for path in store.beside(record)]
        for name in filter(None, (file_name(record.spec), record.arrays, *kept)):
            yield f"{RESULTS}/{name}", store.folder / name


def _sources(records: Sequence[RunRecord]) -> Iterator[tuple[str, Content]]:
    """The Python files of every method and dataset that hashbench does not bring."""
    used = {"method": {r.spec.method for r in records}, "dataset": {r.spec.dataset for r in records}}
    for kind, names in used.items():
        known = {entry.name: entry for entry in registry.listings(kind) if entry.path is not None}
        for name in sorted(names):
            if name not in known:
                raise StoreError(
                    f"{kind} {name!r} has results, and its source is not known here; expected a plugin. Give "
                    "its file with --plugin, or delete its records."
                )
            if known[name].origin != "built-in":
                yield from _files_of(known[name])


def _files_of(plugin: registry.Listing) -> Iterator[tuple[str, Content]]:
    """A --plugin file, or the module or package of an installed plugin, under ``plugins/``."""
    assert plugin.path is not None
    top = registry.locate(plugin.module.partition(".")[0]) or plugin.path
    for file in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
        yield f"{PLUGINS}/{file.relative_to(top.parent).as_posix()}", file


def _environment(records: Sequence[RunRecord], sources: Mapping[str, Content]) -> bytes:
    """The machines and versions that the cells ran with, each with its number of cells."""
    counts = Counter(json.dumps(record.environment, sort_keys=True) for record in records)
    ran = [{"cells": count, **json.loads(text)} for text, count in sorted(counts.items())]
    return _json({"environments": ran, "sources": sorted(sources)})


def _pack(path: Path, files: Mapping[str, Content], by: str) -> None:
    """Store files in order of their names, uncompressed and without dates, the manifest first."""
    entries = {}
    for name, content in sorted(files.items()):
        data = _bytes(content)
        entries[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"format": FORMAT, "hashbench": __version__, "files": entries, **({"by": by} if by else {})}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [(MANIFEST, _json(manifest)), *sorted(files.items())]:
            info = zipfile.ZipInfo(name)  # of 1 January 1980
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, _bytes(content))


def _bytes(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
