"""Datasets as memory-mapped arrays: loaded and checked once, then shared by every process.

The cache lies outside the results folder, in `BENCH_CACHE` or the user's cache folder, and
may be deleted at any time. Prepared views are maps already, checked and with a digest of their own:
of those the cache only notes where they are, whatever their size.
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

from bench.contract.dataset import Dataset, DatasetSource
from bench.contract.items import Batch, Split
from bench.data.views import files
from bench.errors import DataError, StoreError
from bench.plugins import fingerprint
from bench.records import selector

_PARTS = ("train", "query")


@dataclass(frozen=True, slots=True)
class Stored:
    """A dataset in the cache: where, and the fingerprint of its arrays."""

    folder: Path
    fingerprint: str

    def open(self, source: DatasetSource) -> Dataset:
        """The dataset with every array mapped read-only from disk; ``source`` maps prepared views."""
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
    """The folder of all that is cached: ``BENCH_CACHE``, or ``hashbench`` in the user's cache folder."""
    given = (
        os.environ.get("BENCH_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "hashbench"
    )
    return Path(given).expanduser()


def folder() -> Path:
    """Where cached datasets lie."""
    return base() / "datasets"


def kept_folder(method: str) -> Path:
    """Where a method's costly parts lie, such as teachers; other code of the method keeps them elsewhere."""
    return base() / "kept" / f"{method}-{fingerprint.of_method(method)}"


def prepare(name: str, source: DatasetSource, options: Mapping[str, Any], data_root: Path) -> Stored:
    """The cached form of a dataset, which is loaded, checked and written first where it is missing.

    ``name`` is that of the plugin, and ``source`` the plugin with ``options``.
    """
    target = folder() / f"{name}-{_identity(name, source, data_root)}"
    if not (target / "manifest.json").is_file():
        dataset, title = source.load(data_root), selector(name, options)
        if contents := _prepared(dataset):
            if files.noted(dataset.train.ids, "code") != fingerprint.of_dataset(name):
                raise DataError(
                    f"{title}: was parsed by another version of its plugin. Run `bench data prepare` again: "
                    "views that are still right stay."
                )
            where = {"dataset": name, "options": dict(options), "root": str(data_root.resolve())}
            _publish({"name": title, "fingerprint": _named(dataset, contents), "mapped": where}, target)
        else:
            _write(dataset, target, title)
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    return Stored(target, manifest["fingerprint"])


def _identity(name: str, source: DatasetSource, data_root: Path) -> str:
    """Changes with the plugin's code and options and with size or date of the files it reads."""
    described = [name, repr(sorted(vars(source).items())), fingerprint.of_dataset(name)]
    for path in source.files(data_root):
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{name}: cannot read {path}: {error.strerror}. Check --data-root.") from error
        described.append(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _prepared(dataset: Dataset) -> dict[str, str]:
    """The digest of every array of features, where all are maps of prepared views; else nothing."""
    found = {}
    for part in _PARTS:
        for entry, array in _entries(getattr(dataset, part)):
            if entry not in ("labels", "ids"):
                content = files.noted(array, "content")
                if content is None:
                    return {}
                found[f"{part}.{entry}"] = content
    return found


def _named(dataset: Dataset, contents: Mapping[str, str]) -> str:
    """The fingerprint of a dataset whose features have digests already."""
    digest = hashlib.blake2b(digest_size=8)
    for part in _PARTS:
        for entry, array in _entries(getattr(dataset, part)):
            name = f"{part}.{entry}"
            digest.update(f"{name} {array.dtype} {array.shape} {contents.get(name, '')}".encode())
            if name not in contents:
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _write(dataset: Dataset, target: Path, name: str) -> None:
    """Check ``dataset`` and copy its arrays."""
    from bench.contract.validate import check

    check(dataset)
    manifest = {
        "name": name,
        "classes": list(dataset.classes),
        "notes": list(dataset.notes),
        "views": {m: sorted(getattr(dataset.train, m).views) for m in ("image", "text")},
    }
    _publish(manifest, target, dataset)


def _publish(manifest: dict[str, Any], target: Path, dataset: Dataset | None = None) -> None:
    """Write the arrays, if any, and the manifest under a temporary name that is renamed when complete."""
    temporary = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        if dataset is not None:
            manifest = manifest | {"fingerprint": _copy(dataset, temporary)}
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _rename(temporary, target)
    except OSError as error:
        raise StoreError(
            f"cannot write the dataset cache {target.parent}: {error.strerror or error}. "
            "Set BENCH_CACHE to a folder with room that you can write to."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy(dataset: Dataset, folder: Path) -> str:
    """Write every array into ``folder``; returns the fingerprint."""
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
        if not (target / "manifest.json").is_file():  # otherwise another process was first: the same arrays
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
