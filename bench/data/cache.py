"""Datasets as memory-mapped arrays: loaded and validated once, then shared by every process.

The cache lies outside the results folder, in `BENCH_CACHE` or the user's cache folder, and
may be deleted at any time. Prepared views are memory maps already, with a digest of their own:
the cache only records where they lie.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import threads
from bench.contract.dataset import Dataset, DatasetSource
from bench.contract.items import Batch, Split
from bench.data.views import files
from bench.errors import DataError, StoreError
from bench.plugins import fingerprint
from bench.records import selector

_PARTS = ("train", "query")


@dataclass(frozen=True, slots=True)
class CachedDataset:
    """A dataset in the cache: its folder and the fingerprint of its arrays."""

    folder: Path
    fingerprint: str

    def open(self, source: DatasetSource) -> Dataset:
        """The dataset, with every array mapped read-only from disk; ``source`` maps prepared views."""
        manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        if "mapped" in manifest:
            return dataclasses.replace(source.load(Path(manifest["mapped"]["root"])), name=manifest["name"])
        parts = {part: _open_split(self.folder, part, manifest["views"]) for part in _PARTS}
        return Dataset(
            name=manifest["name"],
            classes=tuple(manifest["classes"]),
            notes=tuple(manifest["notes"]),
            **parts,
        )


def base() -> Path:
    """The root of all caches: ``BENCH_CACHE``, or ``hashbench`` in the user's cache folder."""
    given = (
        os.environ.get("BENCH_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "hashbench"
    )
    return Path(given).expanduser()


def folder() -> Path:
    """The folder of cached datasets."""
    return base() / "datasets"


def kept_folder(method: str) -> Path:
    """The folder of a method's costly parts, such as teachers; another version of its code has another."""
    return base() / "kept" / f"{method}-{fingerprint.of_method(method)}"


def prepare(name: str, source: DatasetSource, options: Mapping[str, Any], data_root: Path) -> CachedDataset:
    """Return a dataset from the cache; load, validate and store it first if it is not cached yet.

    ``name`` is that of the plugin, and ``source`` the plugin with ``options``.
    """
    target = folder() / f"{name}-{_identity(name, source, data_root)}"
    if not (target / "manifest.json").is_file():
        with threads.limit(1):  # the last bits of a matrix product depend on the number of threads
            dataset, title = source.load(data_root), selector(name, options)
        if contents := _prepared(dataset):
            if files.noted(dataset.train.ids, "code") != fingerprint.of_dataset(name):
                raise DataError(
                    f"{title}: was parsed by another version of its plugin. Run `bench data prepare` again; "
                    "views that are still valid are kept."
                )
            where = {"dataset": name, "options": dict(options), "root": str(data_root.resolve())}
            _publish({"name": title, "fingerprint": _named(dataset, contents), "mapped": where}, target)
        else:
            _write(dataset, target, title)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return CachedDataset(target, manifest["fingerprint"])


def _identity(name: str, source: DatasetSource, data_root: Path) -> str:
    """A digest of the plugin's code and options, and of the size and date of the files it reads."""
    described = [name, repr(sorted(vars(source).items())), fingerprint.of_dataset(name)]
    for path in source.files(data_root):
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{name}: cannot read {path}: {error.strerror}. Check --data-root.") from error
        described.append(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _prepared(dataset: Dataset) -> dict[str, str]:
    """The digest of every feature array if all are maps of prepared views; otherwise empty."""
    contents = {}
    for part in _PARTS:
        for entry, array in _entries(getattr(dataset, part)):
            if entry not in ("labels", "ids"):
                content = files.noted(array, "content")
                if content is None:
                    return {}
                contents[f"{part}.{entry}"] = content
    return contents


def _named(dataset: Dataset, contents: Mapping[str, str]) -> str:
    """The fingerprint of a dataset whose feature arrays already have digests."""
    digest = hashlib.blake2b(digest_size=8)
    for part in _PARTS:
        for entry, array in _entries(getattr(dataset, part)):
            name = f"{part}.{entry}"
            digest.update(f"{name} {array.dtype} {array.shape} {contents.get(name, '')}".encode())
            if name not in contents:
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _write(dataset: Dataset, target: Path, name: str) -> None:
    """Validate ``dataset`` and store its arrays."""
    from bench.contract.validate import validate_dataset

    validate_dataset(dataset)
    manifest = {
        "name": name,
        "classes": list(dataset.classes),
        "notes": list(dataset.notes),
        "views": {m: sorted(getattr(dataset.train, m).views) for m in ("image", "text")},
    }
    _publish(manifest, target, dataset)


def _publish(manifest: dict[str, Any], target: Path, dataset: Dataset | None = None) -> None:
    """Write the arrays, if any, and the manifest under a temporary name, then rename the folder."""
    temporary = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        if dataset is not None:
            manifest = manifest | {"fingerprint": _copy(dataset, temporary)}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _rename(temporary, target)
    except OSError as error:
        raise StoreError(
            f"dataset cache {target.parent}: cannot be written ({error.strerror or error}). "
            "Set BENCH_CACHE to a writable folder with enough space."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy(dataset: Dataset, folder: Path) -> str:
    """Write every array into ``folder``; returns their fingerprint."""
    digest = hashlib.blake2b(digest_size=8)
    for part in _PARTS:
        for entry, array in _entries(getattr(dataset, part)):
            plain = np.ascontiguousarray(array)
            np.save(folder / f"{part}.{entry}.npy", plain)
            digest.update(f"{part}.{entry} {plain.dtype} {plain.shape}".encode())
            digest.update(plain.data)
    return digest.hexdigest()


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not (target / "manifest.json").is_file():  # else another process wrote the same arrays first
            raise


def _entries(split: Split) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for modality in ("image", "text"):
        batch: Batch = getattr(split, modality)
        yield modality, batch.features
        for view in sorted(batch.views):
            yield f"{modality}.{view}", batch.views[view]
    if split.labels is not None:
        yield "labels", split.labels
    yield "ids", split.ids


def _open_split(folder: Path, part: str, views: Mapping[str, list[str]]) -> Split:
    def array(entry: str) -> npt.NDArray[Any]:
        mapped: npt.NDArray[Any] = np.load(folder / f"{part}.{entry}.npy", mmap_mode="r")
        return mapped

    def batch(modality: str) -> Batch:
        return Batch(array(modality), {v: array(f"{modality}.{v}") for v in views[modality]})

    labels = array("labels") if (folder / f"{part}.labels.npy").is_file() else None
    return Split(image=batch("image"), text=batch("text"), labels=labels, ids=array("ids"))
