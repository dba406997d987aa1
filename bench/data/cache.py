"""Datasets as memory-mapped arrays: loaded and validated once, then shared by every process.

The cache lies outside the results folder, in `BENCH_CACHE` or the user's cache folder, and
may be deleted at any time. What is damaged in it is made again. Prepared views are memory maps already,
with digests of their own: the cache only records where they lie.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import threads
from bench.contract import scratch
from bench.contract.blocks import blocks
from bench.contract.dataset import Dataset, DatasetSource
from bench.data import entries
from bench.data.entries import PARTS, Entry
from bench.data.views import files
from bench.data.views.source import RawSource
from bench.disk import owners, places, stamps, writing
from bench.disk.stamps import Stamp
from bench.errors import DataError, FileError, StoreError
from bench.plugins import fingerprint
from bench.records import selector

_FORM = 2  # of an entry; one of another form lies in another folder
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedDataset:
    """A dataset in the cache: its folder, the fingerprint of its arrays, and how it was made."""

    folder: Path
    fingerprint: str
    name: str  # of the plugin
    options: Mapping[str, Any]
    root: Path

    def open(self, source: DatasetSource) -> Dataset:
        """The dataset, mapped read-only; it is made again where the cache has been deleted or damaged since.

        ``source`` is the plugin with its options. Raises DataError where the data are others now.
        """
        try:
            return self._opened(source)
        except FileError:  # another process has just replaced a damaged folder
            return self._opened(source)

    def _opened(self, source: DatasetSource) -> Dataset:
        entry = _intact(self.folder, source, self.root)
        if entry is None:
            again = prepare(self.name, source, self.options, self.root)
            if again.fingerprint != self.fingerprint:
                raise DataError(
                    f"{selector(self.name, self.options)}: the data changed during the run. Run again."
                )
            entry = entries.read(again.folder)
            assert entry is not None
        return entries.open_dataset(self.folder, entry, source)


def folder() -> Path:
    """The folder of cached datasets."""
    return places.cache() / "datasets"


def kept_folder(method: str) -> Path:
    """The folder of a method's costly parts, such as teachers; another version of its code has another."""
    return places.cache() / "kept" / f"{method}-{fingerprint.of_method(method)}"


def prepare(name: str, source: DatasetSource, options: Mapping[str, Any], data_root: Path) -> CachedDataset:
    """Return a dataset from the cache; load, validate and store it first unless it is there and undamaged.

    ``name`` is that of the plugin, and ``source`` the plugin with ``options``. Raises DataError where a
    prepared view is damaged.
    """
    target = folder() / f"{name}-{_identity(name, source, data_root)}"
    found = writing.number(target)
    entry = _intact(target, source, data_root)
    if entry is None:
        with _scratch(target):
            with threads.limit(1):  # the last bits of a matrix product depend on the number of threads
                dataset, title = source.load(data_root), selector(name, options)
            with _writable(target):
                entry = _write(target, found, name, title, dataset, source, data_root)
    return CachedDataset(target, entry.fingerprint, name, options, data_root)


@contextmanager
def _scratch(target: Path) -> Iterator[None]:
    """Let datasets put large matrices into a folder beside ``target``, which is removed after the block."""
    folder = owners.temporary(target).absolute()
    with _writable(target):
        folder.mkdir(parents=True)
    try:
        with scratch.within(folder):
            yield
    finally:
        owners.remove(folder)


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"dataset cache {target.parent}: cannot be written ({error.strerror or error}). "
            "Set BENCH_CACHE to a writable folder with enough space."
        ) from error


def check(fingerprints: Container[str]) -> dict[str, str]:
    """Compare the arrays of cached datasets of these fingerprints with their digests, byte by byte.

    Returns the damage of each by the dataset's name. The next run makes a damaged one again, or refuses it
    where it consists of prepared views.
    """
    faults = {}
    for target in sorted(folder().glob("[!.]*")):
        try:
            entry = entries.read(target)
        except FileError:  # of no known dataset; the next run of it makes it again
            continue
        if entry is None or entry.fingerprint not in fingerprints:
            continue
        try:
            entries.checked(target, entry, anew=True)
        except FileError as error:
            faults[entry.name] = str(error)
            distrusted = {file: dataclasses.replace(known, changed=0) for file, known in entry.files.items()}
            with suppress(OSError):
                entries.write(target, dataclasses.replace(entry, files=distrusted))
    return faults


def _intact(target: Path, source: DatasetSource, data_root: Path) -> Entry | None:
    """The entry if all its files are as they were written; None where it has to be made (again)."""
    entry = None
    try:
        entry = entries.read(target)
        if entry is None:
            return None
        current = entries.checked(target, entry)
    except FileError as error:
        if entry is not None and entry.root:
            assert isinstance(source, RawSource), "nobody else maps prepared views"
            raise source.damaged(data_root, error) from error
        _log.warning("%s. The dataset is cached again.", error)
        return None
    if current != entry:  # same content, other times: the next opening need not read it
        with suppress(OSError):
            entries.write(target, current)
    return current


def _identity(name: str, source: DatasetSource, data_root: Path) -> str:
    """A digest of the plugin's code and options, and of the size and date of the files it reads."""
    described = [f"{_FORM}", name, repr(sorted(vars(source).items())), fingerprint.of_dataset(name)]
    for path in source.files(data_root):
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{name}: cannot read {path}: {error.strerror}. Check --data-root.") from error
        described.append(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _write(
    target: Path,
    found: int | None,
    name: str,
    title: str,
    dataset: Dataset,
    source: DatasetSource,
    data_root: Path,
) -> Entry:
    """Write a dataset, or where its prepared views lie, and return its entry; ``found`` is replaced."""
    written: list[Entry] = []

    def fill(temporary: Path) -> None:
        if contents := _prepared(dataset):
            written.append(_mapped(name, title, dataset, contents, source, data_root))
        else:
            written.append(_copied(temporary, title, dataset))
        entries.write(temporary, written[0])

    writing.replace_folder(target, fill, found=found)
    return written[0]


def _copied(folder: Path, title: str, dataset: Dataset) -> Entry:
    """Validate a dataset and write its arrays."""
    from bench.contract.validate import validate_dataset

    validate_dataset(dataset)
    digest = hashlib.blake2b(digest_size=8)
    known: dict[str, Stamp] = {}
    for part in PARTS:
        for name, array in entries.arrays(getattr(dataset, part)):
            file = f"{part}.{name}.npy"
            digest.update(f"{part}.{name} {array.dtype} {array.shape}".encode())
            _save(folder / file, array, digest)
            known[file] = stamps.stamp(folder / file)
    digest.update(_described(dataset))
    for at, (name, times) in enumerate(dataset.times.items()):
        digest.update(f"times.{name} {times.dtype} {times.shape}".encode())
        _save(folder / files.time_file(at), times, digest)
        known[files.time_file(at)] = stamps.stamp(folder / files.time_file(at))
    return Entry(
        name=title,
        fingerprint=digest.hexdigest(),
        files=known,
        classes=dataset.classes,
        parents=dataset.parents,
        notes=dataset.notes,
        views={m: tuple(sorted(getattr(dataset.train, m).views)) for m in ("image", "text")},
        times=tuple(dataset.times),
    )


def _described(dataset: Dataset) -> bytes:
    """The hierarchy of classes for the fingerprint, which methods may read; nothing where there is none."""
    return repr(dataset.parents).encode() if dataset.parents else b""


def _save(path: Path, array: npt.NDArray[Any], digest: hashlib.blake2b) -> None:
    """Write an array row by row, as ``np.save`` does, and add its bytes to ``digest``; in little memory.

    A file in the scratch folder that holds the array is not copied, but renamed.
    """
    if (made := _file_of(array)) is not None:
        made.rename(path)
        for block in blocks(array):
            digest.update(np.ascontiguousarray(block).data)
        return
    described = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, described)
        for block in blocks(array):
            plain = np.ascontiguousarray(block).data
            file.write(plain)
            digest.update(plain)


def _file_of(array: npt.NDArray[Any]) -> Path | None:
    """The file in the scratch folder that holds this array and nothing else; None where there is none."""
    file = Path(getattr(array, "filename", None) or "")
    if os.name == "nt" or file.parent != scratch.scratch_folder() or not file.is_file():
        return None  # Windows renames no file that is mapped
    stored = np.load(file, mmap_mode="r")
    same = (stored.shape, stored.dtype) == (array.shape, array.dtype)
    return file if same and stored.flags.c_contiguous and array.flags.c_contiguous else None


def _prepared(dataset: Dataset) -> dict[str, str]:
    """The digest of every feature array if all are maps of prepared views; otherwise empty."""
    contents = {}
    for part in PARTS:
        for name, array in entries.arrays(getattr(dataset, part)):
            if name not in ("labels", "ids"):
                content = files.noted(array, "content")
                if content is None:
                    return {}
                contents[f"{part}.{name}"] = content
    return contents


def _mapped(
    name: str,
    title: str,
    dataset: Dataset,
    contents: Mapping[str, str],
    source: DatasetSource,
    data_root: Path,
) -> Entry:
    """Where the prepared views of a dataset lie, and what they contain."""
    if files.noted(dataset.train.ids, "code") != fingerprint.of_dataset(name):
        raise DataError(
            f"{title}: was parsed by another version of its plugin. Run `bench data prepare` again; "
            "views that are still valid are kept."
        )
    digest = hashlib.blake2b(digest_size=8)
    known: dict[str, Stamp] = {}
    for part in PARTS:
        for entry, array in entries.arrays(getattr(dataset, part)):
            key, file = f"{part}.{entry}", Path(getattr(array, "filename", ""))
            try:
                known[str(file)] = known.get(str(file)) or files.stamp(file)
            except FileError as error:
                assert isinstance(source, RawSource), "nobody else maps prepared views"
                raise source.damaged(data_root, error) from error
            digest.update(f"{key} {array.dtype} {array.shape} {contents.get(key, '')}".encode())
            if key not in contents:
                digest.update(np.ascontiguousarray(array).data)
    digest.update(_described(dataset))
    for entry, times in dataset.times.items():
        digest.update(f"times.{entry} {times.dtype} {times.shape}".encode())
        digest.update(np.ascontiguousarray(times).data)
    return Entry(name=title, fingerprint=digest.hexdigest(), files=known, root=str(data_root.resolve()))
