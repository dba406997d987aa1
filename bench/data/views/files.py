"""Prepared views on disk: one folder per array, with a JSON manifest that is written last.

Below ``ROOT/NAME/views``: ``items/OPTIONS`` holds ids, labels and the split; ``image/VIEW/ROWS`` and
``text/VIEW/ROWS`` hold one view's ``features.npy``, training rows first, queries after them. ROWS is a
digest of the keys of the rows, so options that keep the same items in the same order share a view.
A folder without a manifest is unfinished and never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.items import Features, Labels, Rows
from bench.contract.times import Times
from bench.disk import reading, stamps, writing
from bench.disk.form import mismatch
from bench.disk.stamps import Stamp
from bench.errors import DataError, FileError, StoreError

FORMAT = 1
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Ids, labels, times and split of a dataset's items, training items first; no features."""

    ids: Rows
    labels: Labels
    train: int  # number of training items; the rows after them are queries
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    rows: Mapping[str, str]  # "image", "text", "words" → digest of the keys of the rows
    files: Mapping[str, list[int]]  # raw file → size and modification time when it was parsed
    code: str  # fingerprint of the plugin that parsed it
    parents: tuple[str, ...] = ()
    times: Mapping[str, Times] = field(default_factory=dict)  # of all items


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfItems:
    """The manifest of a folder of items: :class:`Items` without the arrays."""

    format: int
    train: int
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    rows: Mapping[str, str]
    files: Mapping[str, tuple[int, ...]]
    code: str
    parents: tuple[str, ...] = ()
    times: tuple[str, ...] = ()  # names of the columns, in the order of their files
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfView:
    """The manifest of a view: the encoder that made it, its shape, and a sample of its items."""

    format: int
    about: Mapping[str, Any]
    rows: int
    columns: int
    dtype: str
    content: str  # digest of the features
    sample: Mapping[str, str]
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished folder; None if it has none.

    Raises FileError for a damaged one, and DataError for one of another version.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    manifest = reading.read_json(path)
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        raise FileError(path, "it is not a manifest of hashbench")
    if manifest["format"] != FORMAT:
        raise DataError(f"{folder}: comes from another version of hashbench. Delete it and prepare it again.")
    if problem := mismatch(manifest, _OfView if "about" in manifest else _OfItems, "manifest"):
        raise FileError(path, problem)
    return manifest


def open_items(folder: Path) -> Items | None:
    """The items in ``folder``, mapped; None if they have not been prepared. Raises FileError for damage."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    return Items(
        ids=reading.map_array(folder / "ids.npy"),
        labels=reading.map_array(folder / "labels.npy"),
        train=manifest["train"],
        classes=tuple(manifest["classes"]),
        notes=tuple(manifest["notes"]),
        rows=manifest["rows"],
        files=manifest["files"],
        code=manifest["code"],
        parents=tuple(manifest.get("parents", ())),
        times={
            name: reading.map_array(folder / time_file(at))
            for at, name in enumerate(manifest.get("times", ()))
        },
    )


def time_file(at: int) -> str:
    """The file of a time column, by its place among them: its name may be no name of a file."""
    return f"times.{at}.npy"


def write_items(folder: Path, items: Items) -> None:
    """Write ``items`` to ``folder`` in place of earlier ones."""
    manifest = {
        "train": items.train,
        "classes": list(items.classes),
        "notes": list(items.notes),
        "rows": dict(items.rows),
        "files": dict(items.files),
        "code": items.code,
        "parents": list(items.parents),
        "times": list(items.times),
    }

    def fill(temporary: Path) -> None:
        np.save(temporary / "ids.npy", items.ids)
        np.save(temporary / "labels.npy", items.labels)
        for at, times in enumerate(items.times.values()):
            np.save(temporary / time_file(at), times)
        write_manifest(temporary, manifest)

    try:
        writing.replace_folder(folder, fill, found=writing.number(folder))
    except OSError as error:
        raise unwritable(folder, error) from error


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, which marks the folder as finished and has a stamp of every array in it."""
    known = {path.name: asdict(stamps.stamp(path)) for path in sorted(folder.glob("*.npy"))}
    text = json.dumps({"format": FORMAT, **manifest, "stamps": known}, indent=1)
    writing.replace_bytes(folder / "manifest.json", text.encode())


def stamp(path: Path, *, anew: bool = False) -> Stamp:
    """The stamp of an array in a finished folder; raises FileError unless it is as it was written.

    It is read if its size or time differ from the manifest's, or ``anew``.
    """
    manifest = read_manifest(path.parent)
    if manifest is None:
        raise FileError(path, "it has no manifest beside it")
    if path.name in manifest.get("stamps", {}):
        return stamps.checked(path, Stamp(**manifest["stamps"][path.name]), anew=anew)
    new = stamps.stamp(path)  # an earlier hashbench kept the digests of features alone
    if path.name == "features.npy" and new.digest != manifest.get("content"):
        raise FileError(path, "its content has changed since it was written")
    return new


def open_features(folder: Path) -> Features | None:
    """The features of a view, mapped; None if it has not been prepared. Raises FileError for damage."""
    return None if read_manifest(folder) is None else reading.map_array(folder / "features.npy")


def noted(array: npt.NDArray[Any], key: str) -> str | None:
    """Look up ``key`` in the manifest of the file that ``array`` is mapped from; None if it has none.

    ``content`` of features is their digest, ``code`` of ids the fingerprint of the plugin that parsed them.
    """
    name = getattr(array, "filename", None)
    if name is None:
        return None
    try:
        manifest = read_manifest(Path(name).parent)
    except (DataError, FileError):  # the map of a foreign file, beside a manifest of another kind
        return None
    return None if manifest is None else manifest.get(key)


def digest(*keys: Keys) -> str:
    """The digest of keys in order, which names the rows of a view."""
    running = hashlib.blake2b(digest_size=8)
    for part in keys:
        running.update(np.ascontiguousarray(part).data)
    return running.hexdigest()


def unwritable(folder: Path, error: OSError) -> StoreError:
    """The error to raise when a view cannot be written."""
    return StoreError(
        f"{folder}: cannot be written ({error.strerror or error}). Views lie below the data root: set "
        "--data-root or BENCH_DATA to a writable folder with enough space."
    )
