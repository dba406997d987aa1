"""The results folder: one cell = one JSON record and, beside it, one .npz of histograms and codes.

Both are written under a temporary name and renamed, the arrays first; the record names the
arrays by their content, so a kill at any moment leaves either the old cell or the new one.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from bench.disk import owners, places, writing
from bench.disk.reading import read_json
from bench.errors import BenchError, FileError, StoreError
from bench.plugins import fingerprint, registry
from bench.progress import Task
from bench.records import IndexRecord, RunRecord, RunSpec
from bench.scoring.hamming import usable_threads
from bench.storing import checkpoint, indexes, reading, recount
from bench.storing.arrays import Arrays, packed
from bench.storing.passed import Passed
from bench.storing.reading import NewerRecordError, RecordError

Stamp = tuple[int, int] | None  # of a record's file, which every writer replaces; None where there is none
CellStatus = Literal["done", "skipped", "failed", "stale", "missing"]
_log = logging.getLogger(__name__)
_RECENT = 600.0  # seconds
_BATCH = 32  # files that a thread reads at once: a task for each file would cost a seventh of the reading
_SHOWN = 5  # files left out that are named one by one


class Store:
    """The cells below ``folder``, which is made when the first is written.

    A record is used only if its scores follow from its arrays (bench/storing/reading.py). ``faults`` maps
    the file name of every other one that was read to the reason why it counts as missing. ``title`` names
    the folder in messages.
    """

    def __init__(self, folder: Path, title: str = "") -> None:
        self.folder, self.title = places.local(folder, "results folder"), title or str(folder)
        self.faults: dict[str, str] = {}
        self._passed = Passed()

    def check_writable(self) -> None:
        """Raise :class:`StoreError` now and not after the first cell has run."""
        probe = owners.temporary(self.folder / "probe")
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
        """The stored record of a cell, as :meth:`read_all`."""
        return self.read_all([spec])[0]

    def read_all(self, specs: Sequence[RunSpec]) -> list[RunRecord | None]:
        """The stored record of every cell, None where it is missing or has a fault.

        Raises StoreError for one that a newer hashbench wrote, which a run would replace.
        """
        paths = [self.folder / reading.file_name(spec) for spec in specs]
        stored = self._read([path for path in paths if path.exists()], self._passed)
        for path in paths:
            if isinstance(fault := stored.get(path), NewerRecordError):
                raise StoreError(f"{path}: {fault}") from fault
        return [record if isinstance(record := stored.get(p), RunRecord) else None for p in paths]

    def records(self, *, anew: bool = False) -> list[RunRecord]:
        """Every stored record without a fault, in the order of file names.

        ``anew`` computes the scores of all again, also of those that have passed before.
        """
        paths = sorted(self.folder.glob("[!.]*.json"))
        stored = self._read(paths, () if anew else self._passed)
        return [record for record in stored.values() if isinstance(record, RunRecord)]

    def _read(self, paths: Sequence[Path], passed: Container[str]) -> dict[Path, RunRecord | RecordError]:
        """Read files on threads: hashing and decompressing let go of the interpreter's lock."""
        if not paths:
            return {}
        batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
        found: dict[Path, RunRecord | RecordError] = {}
        digests: list[str] = []
        with (
            ThreadPoolExecutor(usable_threads()) as pool,
            Task("reading results", len(paths), each="record") as task,
        ):
            outcomes = chain.from_iterable(pool.map(partial(_checked, passed=passed), batches))
            for path, outcome in zip(paths, outcomes, strict=True):
                self.faults.pop(path.name, None)
                if isinstance(outcome, RecordError):
                    found[path], self.faults[path.name] = outcome, str(outcome)
                else:
                    found[path] = outcome[0]
                    digests += outcome[1]
                task.advance()
        self._passed.add(digests)
        return found

    def fault(self, spec: RunSpec) -> str:
        """Why the record of a cell that was read counts as missing, or ""."""
        return self.faults.get(reading.file_name(spec), "") if self.faults else ""

    def left_out(self) -> list[str]:
        """The lines that report ``faults``, none where there are none."""
        if not self.faults:
            return []
        count = len(self.faults)
        head = "1 record in {} is left out; `bench run` makes it again:"
        if count > 1:
            head = f"{count} records in {{}} are left out; `bench run` makes them again:"
        lines = [f"  {name}: {reason}" for name, reason in list(self.faults.items())[:_SHOWN]]
        rest = [f"  and {count - _SHOWN} more; `bench verify {self.title}` names all"]
        return [head.format(self.title), *lines, *(rest if count > _SHOWN else [])]

    def stamp(self, spec: RunSpec) -> Stamp:
        """Tells a cell's record from any stored after it: the time and the number of its file."""
        try:
            status = (self.folder / reading.file_name(spec)).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def checkpoint(self, spec: RunSpec) -> Path:
        """Where a cell under way is saved between rounds (bench/storing/checkpoint.py)."""
        return (self.folder / reading.file_name(spec)).with_suffix(".partial")

    def model(self, spec: RunSpec) -> Path:
        """Where the model of a cell is kept, if it is (bench/models.py)."""
        return (self.folder / reading.file_name(spec)).with_suffix(".model")

    def beside(self, record: RunRecord) -> list[Path]:
        """The model and the measured indexes of a cell, as far as it has them."""
        paths = (self.model(record.spec), indexes.path(self.folder, record.spec))
        return [path for path in paths if path.is_file()]

    def index(self, record: RunRecord) -> IndexRecord | None:
        """The measured indexes of a cell; None where there are none, or they are of earlier codes.

        A file that cannot be used counts as missing, with a warning that says why.
        """
        path = indexes.path(self.folder, record.spec)
        try:
            stored = indexes.read(path) if path.exists() else None
        except StoreError as error:
            _log.warning("%s", error)
            return None
        return stored if stored is not None and stored.arrays == record.arrays else None

    def write_index(self, record: RunRecord, index: IndexRecord) -> Path:
        """Store the measured indexes of a cell in place of earlier ones."""
        return indexes.write(indexes.path(self.folder, record.spec), index)

    def arrays(self, record: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        """The histograms and codes of a record, each read when it is asked for."""
        name = reading.file_name(record.spec)
        if not reading.is_arrays_name(record.arrays, name):
            raise StoreError(
                f"{record.spec}: its arrays are {record.arrays!r}; expected a file beside {name}. Run it "
                "again."
            )
        return Arrays(self.folder / record.arrays)

    def tidy(self) -> None:
        """Remove arrays that no record names: those of a process killed between two steps of :meth:`write`.

        Another process may be between them now, so arrays of the last ten minutes stay.
        """
        names = [path.name for path in self.folder.glob("[!.]*")]
        records = {name for name in names if name.endswith(".json")}
        cells: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            if name.endswith(".npz"):
                cells[f"{name.rsplit('.', 2)[0]}.json"].append(name)
        for record, arrays in cells.items():
            if len(arrays) > 1 or record not in records:
                named = _arrays_of(self.folder / record)
                for path in (self.folder / name for name in arrays if reading.is_arrays_name(name, record)):
                    with suppress(OSError):  # gone meanwhile
                        if path != named and time.time() - path.stat().st_mtime > _RECENT:
                            path.unlink()

    def write(
        self, record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]], model: bytes = b""
    ) -> RunRecord:
        """Store a cell in place of what was there, and return the record as stored.

        With ``arrays``, its ``model`` replaces the earlier one, or removes it where there is none.
        """
        target = self.folder / reading.file_name(record.spec)
        content = packed(arrays) if arrays else b""
        if content:
            record = record.with_arrays(reading.arrays_name(target.name, content))
        text = json.dumps(record.to_json(), indent=1).encode()
        with self._replacing(record):
            if content:
                writing.replace_bytes(self.folder / record.arrays, content)
                self.model(record.spec).unlink(missing_ok=True)
            if model:
                writing.replace_bytes(self.model(record.spec), model)
            writing.replace_bytes(target, text)
        if content and record.rounds and not recount.fault(record, arrays):  # else the next reader says so
            self._passed.add([reading.digest_of(text, content)])
        return record

    def keep_source(self, kind: str, name: str) -> None:
        """Keep the file of a class of this session, which is usable as --plugin (:func:`source_of`)."""
        path = registry.path_of(kind, name)
        target = self.folder / source_of(kind, name)
        if path is not None and not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            writing.replace_bytes(target, path.read_bytes())

    def copy(self, record: RunRecord, source: Store) -> None:
        """Copy the files of a cell from another store, in place of what was there.

        They are not read again: whoever uses them checks them by their digests. After a power cut a copy may
        be damaged, which its reader reports; the source is not.
        """
        with self._replacing(record):
            kept = [path.name for path in source.beside(record)]
            for name in filter(None, (record.arrays, *kept, reading.file_name(record.spec))):
                original = source.folder / name
                writing.replace(self.folder / name, partial(shutil.copyfile, original), lasting=False)

    @contextmanager
    def _replacing(self, record: RunRecord) -> Iterator[None]:
        """Around the writing of a cell's files; the arrays and the checkpoint of its earlier record go."""
        before = _arrays_of(self.folder / reading.file_name(record.spec))
        try:
            yield
            if before is not None and before.name != record.arrays:
                before.unlink(missing_ok=True)
            checkpoint.discard(self.checkpoint(record.spec))
        except OSError as error:
            full = "The disk is full: make some room" if error.errno == errno.ENOSPC else "Check the folder"
            raise StoreError(
                f"results folder {self.folder}: cannot write {record.spec}: {error.strerror or error}. "
                f"{full} and run again; finished cells are kept."
            ) from error


def _checked(
    paths: Sequence[Path], passed: Container[str]
) -> list[tuple[RunRecord, tuple[str, ...]] | RecordError]:
    """For each file its record and digests, or the reason why it cannot be used."""
    outcomes: list[tuple[RunRecord, tuple[str, ...]] | RecordError] = []
    for path in paths:
        try:
            outcomes.append(reading.checked_record(path, passed))
        except RecordError as error:
            outcomes.append(error)
    return outcomes


def _arrays_of(path: Path) -> Path | None:
    """The arrays of the record in ``path``, if it has any."""
    try:
        name = read_json(path)["arrays"]
    except (FileError, LookupError, TypeError):
        return None
    return path.with_name(name) if reading.is_arrays_name(name, path.name) else None


def source_of(kind: str, name: str) -> str:
    """Where a results folder keeps the source of a class: ``sources/FINGERPRINT/NAME.py``."""
    version = fingerprint.of_method(name) if kind == "method" else fingerprint.of_dataset(name)
    return f"sources/{version}/{name}.py"


def standing(record: RunRecord | None, data: str) -> tuple[CellStatus, str]:
    """The state of a cell by its stored record, with the reason where it is stale, skipped or failed.

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
