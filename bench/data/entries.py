"""One dataset in the cache: a folder with a manifest and arrays, or with the paths of prepared views alone.

Whoever opens an entry compares every file with the manifest (:mod:`bench.disk.stamps`): FileError names the
file and the damage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from bench.contract.dataset import Dataset, DatasetSource
from bench.contract.items import MODALITIES, Batch, Split
from bench.data.views import files
from bench.disk import reading, stamps, writing
from bench.disk.form import mismatch
from bench.disk.stamps import Stamp
from bench.errors import FileError

PARTS = ("train", "query")
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The manifest of a cached dataset.

    ``files`` has the stamp of every array, by its name in the folder or, in a prepared view, by its path.
    ``views`` lists the further views of each modality, ``times`` the time columns; ``root`` is the data root
    of prepared views, or "".
    """

    name: str
    fingerprint: str
    files: Mapping[str, Stamp]
    classes: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    views: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    times: tuple[str, ...] = ()
    root: str = ""


def read(folder: Path) -> Entry | None:
    """The entry in a folder as its manifest describes it; None if nothing has been written there."""
    path = folder / _MANIFEST
    if not folder.exists():
        return None
    stored = reading.read_json(path)
    if not isinstance(stored, dict) or stored.get("digest") != _digest(stored.get("entry")):
        raise FileError(path, "its content has changed since it was written")
    if problem := mismatch(stored["entry"], Entry, "manifest"):
        raise FileError(path, problem)
    files = {name: Stamp(**stamp) for name, stamp in stored["entry"].pop("files").items()}
    return Entry(**stored["entry"], files=files)


def write(folder: Path, entry: Entry) -> None:
    """Write the manifest of ``entry``; raises OSError."""
    fields = json.loads(json.dumps(dataclasses.asdict(entry)))
    text = json.dumps({"digest": _digest(fields), "entry": fields}, indent=1)
    writing.replace_bytes(folder / _MANIFEST, text.encode())


def _digest(fields: Any) -> str:
    return hashlib.blake2b(json.dumps(fields).encode(), digest_size=16).hexdigest()


def checked(folder: Path, entry: Entry, *, anew: bool = False) -> Entry:
    """The entry with current stamps; raises FileError at the first file that is no longer as it was written.

    ``anew`` reads all files, not only those whose size or time changed.
    """
    files = {name: stamps.checked(folder / name, known, anew=anew) for name, known in entry.files.items()}
    return dataclasses.replace(entry, files=files)


def open_dataset(folder: Path, entry: Entry, source: DatasetSource) -> Dataset:
    """The dataset, with every array mapped read-only from disk; ``source`` maps prepared views."""
    if entry.root:
        return dataclasses.replace(source.load(Path(entry.root)), name=entry.name)
    parts = {part: _split(folder, part, entry) for part in PARTS}
    times = {name: reading.map_array(folder / files.time_file(at)) for at, name in enumerate(entry.times)}
    return Dataset(
        name=entry.name,
        classes=tuple(entry.classes),
        parents=tuple(entry.parents),
        notes=tuple(entry.notes),
        times=times,
        **parts,
    )


def arrays(split: Split) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """The arrays of a split and their names, in a fixed order."""
    for modality in MODALITIES:
        batch: Batch = getattr(split, modality)
        yield modality, batch.features
        for view in sorted(batch.views):
            yield f"{modality}.{view}", batch.views[view]
    if split.labels is not None:
        yield "labels", split.labels
    yield "ids", split.ids


def _split(folder: Path, part: str, entry: Entry) -> Split:
    def array(name: str) -> npt.NDArray[Any]:
        return reading.map_array(folder / f"{part}.{name}.npy")

    def batch(modality: str) -> Batch:
        views = entry.views.get(modality, ())
        return Batch(array(modality), {view: array(f"{modality}.{view}") for view in views})

    labels = array("labels") if f"{part}.labels.npy" in entry.files else None
    return Split(image=batch("image"), text=batch("text"), labels=labels, ids=array("ids"))
