"""The results folder: one cell = one JSON record and, beside it, one .npz of histograms and codes.

Both are written under a temporary name and renamed, the arrays first; the record names the
arrays by their content, so a kill at any moment leaves either the old cell or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError, StoreError
from bench.plugins import fingerprint
from bench.records import SCHEMA, RunRecord, RunSpec
from bench.storing import checkpoint

_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
CellStatus = Literal["done", "skipped", "failed", "stale", "missing"]


class Store:
    """The cells in ``folder``, which the first write creates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: list[Path] = []  # incomplete cells, which the last ``records()`` left out

    def check_writable(self) -> None:
        """Raise :class:`StoreError` now and not after the first cell has run."""
        probe = self.folder / f".probe-{uuid.uuid4().hex[:8]}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"results folder {self.folder}: {error.strerror}. It must be a folder that you can write to; "
                "give another with --results or BENCH_RESULTS."
            ) from error

    def read(self, spec: RunSpec) -> RunRecord | None:
        """The stored record of a cell, or None if it has none that can be read."""
        return read_record(self.folder / _name(spec))

    def records(self) -> list[RunRecord]:
        """Every stored record, in the order of file names."""
        read = {path: read_record(path) for path in sorted(self.folder.glob("*.json"))}
        self.broken = [path for path, record in read.items() if record is None]
        return [record for record in read.values() if record is not None]

    def checkpoint(self, spec: RunSpec) -> Path:
        """Where a cell under way is saved between rounds (bench/storing/checkpoint.py)."""
        return (self.folder / _name(spec)).with_suffix(".partial")

    def arrays(self, record: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        """The histograms and codes of a record, each read from disk on access."""
        path = self.folder / record.arrays
        try:
            if not zipfile.is_zipfile(path):  # numpy would leave it open
                raise ValueError("the file is cut short")
            return _ArrayFile(np.load(path, allow_pickle=False), path)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error

    def write(self, record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]]) -> RunRecord:
        """Store a cell, replacing an earlier record of it, and return the record as stored."""
        target = self.folder / _name(record.spec)
        before = self.read(record.spec)
        try:
            if arrays:
                packed = _packed(arrays)
                digest = hashlib.sha256(packed).hexdigest()[:8]
                record = record.with_arrays(f"{target.stem}.{digest}.npz")
                _replace(self.folder / record.arrays, packed)
            _replace(target, json.dumps(record.to_json(), indent=1).encode())
            if before is not None and before.arrays not in ("", record.arrays):
                (self.folder / before.arrays).unlink(missing_ok=True)
            checkpoint.discard(self.checkpoint(record.spec))
        except OSError as error:
            full = "The disk is full: make some room" if error.errno == errno.ENOSPC else "Check the folder"
            raise StoreError(
                f"results folder {self.folder}: cannot write {record.spec}: {error.strerror or error}. "
                f"{full} and run again; finished cells are kept."
            ) from error
        return record


class _ArrayFile(Mapping[str, npt.NDArray[Any]]):
    """The arrays of an .npz, read one by one, so that a broken one matters only to who needs it."""

    def __init__(self, loaded: Any, path: Path) -> None:
        self._loaded, self._path = loaded, path

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = self._loaded[name]
            return array
        except _UNREADABLE as error:
            raise _unreadable(self._path, error) from error

    def __contains__(self, name: object) -> bool:
        return name in self._loaded.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded.files)

    def __len__(self) -> int:
        return len(self._loaded.files)


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: cannot read its arrays ({error}). Delete it and run the cell again.")


def standing(record: RunRecord | None, data: str) -> tuple[CellStatus, str]:
    """The status of a cell by its stored record, and the reason if it is stale, skipped or failed.

    ``data`` is the fingerprint of the dataset as it is now.
    """
    if record is None:
        return "missing", ""
    reason = stale_reason(record, data)
    if reason:
        return "stale", reason
    return ("done" if record.status == "ok" else record.status), record.reason


def stale_reason(record: RunRecord, data: str | None = None) -> str:
    """Why a run would no longer give this stored record, or ""."""
    try:
        code = fingerprint.of_method(record.spec.method)
    except BenchError as error:  # the method is gone or broken: its results stay valid
        return f"method not available: {error}"
    if record.code != code:
        return "the code of the method or the protocol has changed"
    if data is not None and record.data != data:
        return "the data have changed"
    return ""


def stale_reasons(records: Iterable[RunRecord]) -> dict[str, str]:
    """Key → reason of the records whose code has changed since they were made."""
    reasons = {record.spec.key: stale_reason(record) for record in records}
    return {key: reason for key, reason in reasons.items() if reason}


def _name(spec: RunSpec) -> str:
    words = f"{spec.method}-{spec.dataset}-{spec.bits}b-s{spec.seed}-{spec.key}"
    return re.sub(r"[^\w.-]", "_", words) + ".json"


def read_record(path: Path) -> RunRecord | None:
    """None for a file that is absent, cut short or not a record: such a cell is run again."""
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(stored, dict) or not isinstance(stored.get("schema"), int):
        return None
    if stored["schema"] > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer hashbench (schema {stored['schema']}). Upgrade to read it."
        )
    try:
        record = RunRecord.from_json(stored)
    except (KeyError, TypeError, AttributeError):
        return None
    if record.arrays and not (path.parent / record.arrays).is_file():
        return None
    return record


def _packed(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
