"""Extracts one view in batches, appended to one file, so that a kill loses at most the last batch.

The file grows in a folder of its own, which is renamed when the view is complete. Rows that a finished
view of the same kind already has, for another variant or split, are copied instead of computed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from bench.contract.encoder import Extractor
from bench.contract.items import Features, Rows
from bench.contract.validate import finite
from bench.data.views import files
from bench.disk import owners, reading, stamps, writing
from bench.errors import DataError, FileError, ParameterError, StoreError
from bench.progress import Task

SAMPLE = 16  # pictures whose pixels are compared, to notice replaced files
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The items of a view, in the order of its rows; items of equal ``keys`` have equal rows."""

    read: Callable[[int], Any]  # a row of the raw dataset → its picture or text
    rows: Rows
    keys: files.Keys
    sampled: bool  # keys do not reveal a replaced file, so the content of some is compared

    def sample(self) -> dict[str, str]:
        """Key → digest of the content, for a sample of the rows."""
        if not self.sampled:
            return {}
        chosen = np.unique(np.linspace(0, len(self.rows) - 1, SAMPLE).astype(np.intp))
        return {str(self.keys[i]): self._content(int(i)) for i in chosen}

    def agrees(self, sample: Mapping[str, str]) -> bool:
        """Whether the items of ``sample`` that are among these still have the same content."""
        sampled = np.flatnonzero(np.isin(self.keys, np.array([int(key) for key in sample], np.uint64)))
        return all(sample[str(self.keys[i])] == self._content(int(i)) for i in sampled)

    def _content(self, position: int) -> str:
        picture = self.read(int(self.rows[position]))
        shape = f"{picture.mode} {picture.size}".encode()
        return hashlib.blake2b(shape + picture.tobytes(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the work is divided, which does not change the features."""

    batch: int = 32
    workers: int = 0  # processes that read and decode; 0: only this one

    def __post_init__(self) -> None:
        if self.batch < 1 or self.workers < 0:
            raise ParameterError(
                f"batch={self.batch}, workers={self.workers}; expected at least 1 and at least 0. Change "
                "--batch or --workers."
            )


def is_finished(
    folder: Path, inputs: Inputs, about: Mapping[str, Any], *, any_precision: bool = False
) -> bool:
    """Whether the view is complete and came from this model, these files, and this precision or any."""
    try:
        manifest = files.read_manifest(folder)
        if manifest is None:
            return False
        made = dict(manifest["about"])
        if any_precision and "precision" in made:
            made["precision"] = about.get("precision")
        if made != about or not inputs.agrees(manifest["sample"]):
            return False
        for name in ("features.npy", "keys.npy"):
            files.stamp(folder / name, anew=True)
        features = reading.map_array(folder / "features.npy")
    except (FileError, LookupError, ValueError) as error:
        _log.warning("%s: damaged, and extracted again: %s", folder, error)
        return False
    return features.shape == (manifest["rows"], manifest["columns"])


def write(
    folder: Path,
    inputs: Inputs,
    extractor: Extractor,
    pace: Pace,
    label: str,
    unit: str,
    *,
    anew: bool = False,
) -> None:
    """Extract a view into ``folder``; unless ``anew``, reuse rows of earlier attempts and other splits."""
    growing = _growing(folder)
    about = json.loads(json.dumps(extractor.about))  # as a manifest returns it
    try:
        growing.mkdir(parents=True, exist_ok=True)
        with _alone(growing.with_suffix(".lock")):
            _start(growing, {"about": about, "sample": inputs.sample()}, anew)
            known = _Known([] if anew else folder.parent.glob("[!.]*/manifest.json"), inputs, about)
            with (growing / "features.npy").open("r+b") as file:
                _append(file, folder, inputs, known, extractor, pace, label, unit)
            _finish(growing, folder, inputs, about)
    except OSError as error:
        raise files.unwritable(folder, error) from error


def tidy(folder: Path) -> None:
    """Remove what a killed attempt left beside a view that has been finished since."""
    growing = _growing(folder)
    with suppress(OSError, StoreError):  # not ours to write, or somebody is extracting it anew
        if growing.exists() or growing.with_suffix(".lock").exists():
            with _alone(growing.with_suffix(".lock")):
                owners.remove(growing)


def _growing(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows has none: there, two processes may extract one view at the same time
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{lock.parent}: another process is extracting this view. Wait for it."
            ) from error
        yield
    lock.unlink(missing_ok=True)


def _start(growing: Path, plan: Mapping[str, Any], anew: bool) -> None:
    """Start over unless the partial view came from the same model and the same files."""
    described, features = growing / "plan.json", growing / "features.npy"
    try:
        same = not anew and reading.read_json(described) == plan
    except FileError:
        same = False
    if not same:
        for path in (described, features, growing / "manifest.json"):
            owners.remove(path)
        writing.replace_bytes(described, json.dumps(plan).encode())
    features.touch()


def _append(
    file: IO[bytes],
    folder: Path,
    inputs: Inputs,
    known: _Known,
    extractor: Extractor,
    pace: Pace,
    label: str,
    unit: str,
) -> None:
    n = len(inputs.rows)
    begin = _rows_in(file, n)
    with Task(label, n, unit) as task:
        task.skip(begin)
        for at, items in _batches(inputs, known, extractor.one, begin, pace):
            rows = known.fill(inputs.keys[at], extractor.many(items) if items else None)
            finite(f"{folder} from row {at.start}", rows)
            if not file.tell():
                _header(file, folder, (n, rows.shape[1]))
            file.write(rows.tobytes())
            file.flush()
            task.advance(len(rows))


def _rows_in(file: IO[bytes], n: int) -> int:
    """Count the complete rows of an earlier attempt; leaves the file's position after them."""
    size = os.fstat(file.fileno()).st_size
    try:
        np.lib.format.read_magic(file)
        (rows, columns), _, dtype = np.lib.format.read_array_header_1_0(file)
        usable = rows == n and columns > 0 and dtype == np.float32
    except Exception:  # noqa: BLE001  # an empty file, or a header that no parser knows
        usable = False
    if not usable:
        file.seek(0)
        file.truncate()
        return 0
    width = columns * dtype.itemsize
    done = min((size - file.tell()) // width, n)
    file.seek(done * width, os.SEEK_CUR)
    file.truncate()
    return int(done)


def _header(file: IO[bytes], folder: Path, shape: tuple[int, int]) -> None:
    needed, free = 4 * shape[0] * shape[1], shutil.disk_usage(folder.parent).free
    if needed > free:
        raise StoreError(
            f"{folder}: needs {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Make room, or choose "
            "another --data-root."
        )
    described = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def _finish(growing: Path, folder: Path, inputs: Inputs, about: Mapping[str, Any]) -> None:
    """Write the manifest, and only then move the folder into place."""
    features = reading.map_array(growing / "features.npy")
    np.save(growing / "keys.npy", inputs.keys)
    manifest = {
        "about": about,
        "rows": features.shape[0],
        "columns": features.shape[1],
        "dtype": str(features.dtype),
        "content": stamps.digest(growing / "features.npy"),
        "sample": inputs.sample(),
    }
    files.write_manifest(growing, manifest)
    writing.settle(growing, folder)
    (folder / "plan.json").unlink()  # last: without it a killed attempt would begin again


class _Known:
    """Rows that finished views of the same kind, model and files already have."""

    def __init__(self, manifests: Iterable[Path], inputs: Inputs, about: Mapping[str, Any]) -> None:
        self.views: list[tuple[files.Keys, Rows, Features]] = []
        for path in sorted(manifests):
            if is_finished(path.parent, inputs, about):
                keys, features = (
                    reading.map_array(path.with_name("keys.npy")),
                    files.open_features(path.parent),
                )
                assert features is not None
                order = np.argsort(keys, kind="stable")
                self.views.append((keys[order], order, features))

    def has(self, keys: files.Keys) -> npt.NDArray[np.bool_]:
        known = np.zeros(len(keys), np.bool_)
        for sorted_keys, _, _ in self.views:
            known |= np.isin(keys, sorted_keys)
        return known

    def fill(self, keys: files.Keys, computed: Features | None) -> Features:
        """The rows of ``keys``; ``computed`` holds those that :meth:`has` denies, in order."""
        known = self.has(keys)
        if computed is not None and not known.any():
            return np.ascontiguousarray(computed, np.float32)
        width = self.views[0][2].shape[1] if computed is None else computed.shape[1]
        rows = np.empty((len(keys), width), np.float32)
        if computed is not None:
            rows[~known] = computed
        for sorted_keys, order, features in self.views:
            at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
            hit = known & (sorted_keys[at] == keys)
            rows[hit] = features[order[at[hit]]]
        return rows


def _batches(
    inputs: Inputs, known: _Known, one: Callable[[Any], Any], begin: int, pace: Pace
) -> Iterator[tuple[slice, Sequence[Any]]]:
    """Yield the positions of each batch and those of its items, prepared, that must be computed."""
    n = len(inputs.rows)
    slices = [slice(start, min(start + pace.batch, n)) for start in range(begin, n, pace.batch)]
    items = _Items(inputs, known.has(inputs.keys), one, slices)
    if not pace.workers:
        loaded: Any = (items[i] for i in range(len(slices)))
    else:
        from torch.utils.data import DataLoader

        # A plugin's class has no importable module, which the forkserver of Python 3.14 would look for.
        how = "fork" if sys.platform == "linux" else None
        loaded = DataLoader(items, batch_size=None, num_workers=pace.workers, multiprocessing_context=how)
    for at, batch in zip(slices, loaded, strict=True):
        if isinstance(batch, DataError):
            raise batch
        yield at, batch


class _Items:
    """Batches of prepared items by number, for this process or a loader process."""

    def __init__(
        self, inputs: Inputs, known: npt.NDArray[np.bool_], one: Callable[[Any], Any], slices: list[slice]
    ) -> None:
        self.inputs, self.known, self.one, self.slices = inputs, known, one, slices

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, number: int) -> list[Any] | DataError:
        at = self.slices[number]
        missing = self.inputs.rows[at][~self.known[at]]
        try:
            return [self.one(self.inputs.read(int(row))) for row in missing]
        except DataError as error:  # returned, since a loader process would wrap it in its traceback
            return error
        except OSError as error:  # Pillow raises it for a damaged picture
            return DataError(f"a picture cannot be read ({error}). Copy it again, or remove it.")
