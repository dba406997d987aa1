"""Prepared views on disk: one folder per array, with a JSON manifest that is written last.

Below ``ROOT/NAME/views``: ``items/OPTIONS`` holds ids, labels and the split; ``image/VIEW/ROWS`` and
``text/VIEW/ROWS`` hold one view's ``features.npy``, training rows first, queries after them. ROWS is a
digest of the keys of the rows, so options that keep the same items in the same order share a view.
A folder without a manifest is unfinished and never read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.items import Features, Labels, Rows
from bench.errors import DataError, StoreError

FORMAT = 1
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Ids, labels and split of a dataset's items, training items first; no features."""

    ids: Rows
    labels: Labels
    train: int  # number of training items; the rows after them are queries
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    rows: Mapping[str, str]  # "image", "text", "words" → digest of the keys of the rows
    files: Mapping[str, list[int]]  # raw file → size and modification time when it was parsed
    code: str  # fingerprint of the plugin that parsed it


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished folder; None if it has none."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: cannot read its manifest ({error}). Delete the folder and prepare it again."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{folder}: comes from another version of hashbench. Delete it and prepare it again.")
    return manifest


def open_items(folder: Path) -> Items | None:
    """The items in ``folder``, mapped; None if they have not been prepared."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    return Items(
        ids=open_array(folder / "ids.npy"),
        labels=open_array(folder / "labels.npy"),
        train=manifest["train"],
        classes=tuple(manifest["classes"]),
        notes=tuple(manifest["notes"]),
        rows=manifest["rows"],
        files=manifest["files"],
        code=manifest["code"],
    )


def write_items(folder: Path, items: Items) -> None:
    """Write ``items`` to ``folder`` in place of earlier ones."""
    temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    manifest = {
        "train": items.train,
        "classes": list(items.classes),
        "notes": list(items.notes),
        "rows": dict(items.rows),
        "files": dict(items.files),
        "code": items.code,
    }
    try:
        temporary.mkdir(parents=True)
        np.save(temporary / "ids.npy", items.ids)
        np.save(temporary / "labels.npy", items.labels)
        write_manifest(temporary, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, which marks the folder as finished."""
    temporary = folder / ".manifest.json"
    temporary.write_text(json.dumps({"format": FORMAT, **manifest}, indent=1), encoding="utf-8")
    temporary.replace(folder / "manifest.json")


def open_features(folder: Path) -> Features | None:
    """The features of a view, mapped; None if it has not been prepared."""
    return None if read_manifest(folder) is None else open_array(folder / "features.npy")


def noted(array: npt.NDArray[Any], key: str) -> str | None:
    """Look up ``key`` in the manifest of the file that ``array`` is mapped from; None if it has none.

    ``content`` of features is their digest, ``code`` of ids the fingerprint of the plugin that parsed them.
    """
    name = getattr(array, "filename", None)
    if name is None:
        return None
    try:
        manifest = read_manifest(Path(name).parent)
    except DataError:  # the map of a foreign file, beside a manifest of another kind
        return None
    return None if manifest is None else manifest.get(key)


def open_array(path: Path) -> npt.NDArray[Any]:
    """An array mapped read-only; :class:`DataError` if the file is damaged."""
    try:
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Delete its folder and prepare it again."
        ) from error
    return mapped


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
