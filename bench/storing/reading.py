"""A stored record is read and checked: its form, its name, its arrays, and the scores that follow from them.

The trap: the folder may come from a stranger. Nothing that a record says leads to a file outside it.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.disk import reading
from bench.disk.form import mismatch
from bench.errors import FileError, StoreError
from bench.records import SCHEMA, RunRecord, RunSpec
from bench.storing import recount
from bench.storing.arrays import Arrays
from bench.storing.sense import nonsense

_MOMENT = 2 * 10**9  # nanoseconds: no file system counts times more coarsely
_VALUES = Mapping[str, str | int | float | bool | None]
_UNCOUNTABLE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)  # from arrays made to fail


class RecordError(StoreError):
    """A stored record that cannot be used; the message is the reason, without the name of the file."""


class NewerRecordError(RecordError):
    """A record in a form that only a newer hashbench reads."""


def file_name(spec: RunSpec) -> str:
    """The file of a cell's record: ``lcdh-wiki-16b-s0-KEY.json``."""
    words = f"{spec.method}-{spec.dataset}-{spec.bits}b-s{spec.seed}-{spec.key}"
    return re.sub(r"[^\w.-]", "_", words) + ".json"


def arrays_name(record_file: str, content: bytes) -> str:
    """The file of the arrays beside a record: ``lcdh-wiki-16b-s0-KEY.DIGEST8.npz``."""
    return f"{record_file.removesuffix('.json')}.{hashlib.sha256(content).hexdigest()[:8]}.npz"


def is_arrays_name(name: object, record_file: str) -> bool:
    """Whether a record in this file may name its arrays so; no other file is read, written or removed."""
    stem = record_file.removesuffix(".json")
    return (
        isinstance(name, str)
        and name.startswith(stem)
        and re.fullmatch(r"\.[0-9a-f]{8}\.npz", name[len(stem) :]) is not None
    )


def read_record(path: Path) -> RunRecord:
    """The record in a file as it stands: its form and name are checked, and that its arrays exist.

    Raises RecordError with the reason why it cannot be used.
    """
    record = _record(_parsed(_content(path), path), path)
    if record.arrays:
        _arrays_file(record.arrays, path)
    return record


def checked_record(path: Path, passed: Container[str]) -> tuple[RunRecord, tuple[str, ...]]:
    """The record in a file, whose scores follow from its arrays, and the digests under which it has passed.

    Scores are not computed again where the digest of both files is in ``passed``, and the arrays are not
    read where that of the record and the file of arrays as it lies there is. Raises RecordError as
    :func:`read_record` does.
    """
    content = _content(path)
    stored = _parsed(content, path)
    name = stored.get("arrays")
    if name and not is_arrays_name(name, path.name):
        _record(stored, path)  # raises where the record itself is another cell's: that is the better reason
    lying = _lying(content, _arrays_file(name, path)) if name else ""
    if lying and lying in passed:
        return _known(stored, path), (lying,)
    packed, of_arrays = _packed(name, path) if name else (b"", hashlib.sha256())
    digest = hashlib.sha256(content + of_arrays.digest()).hexdigest()
    if digest in passed:
        record = _known(stored, path)
    else:
        record = _record(stored, path)
        _check_scores(record, packed, path)
    return record, (digest, lying) if lying else (digest,)


def _lying(content: bytes, arrays: Path) -> str:
    """One digest of a record's bytes and its arrays as they lie there: any change gives them another time.

    "" where they changed a moment ago: a second change could then have the same time.
    """
    try:
        status = arrays.stat()
    except OSError:  # which reading it reports
        return ""
    if status.st_ctime_ns > time.time_ns() - _MOMENT:
        return ""
    places = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return hashlib.sha256(content + repr(places).encode()).hexdigest()


def _known(stored: dict[str, Any], path: Path) -> RunRecord:
    """The record of a cell that has passed before, maybe under another name."""
    record = RunRecord.from_json(stored)
    if not record.arrays:  # else their name holds the record's
        _check_name(record, path)
    return record


def digest_of(content: bytes, packed: bytes) -> str:
    """One digest of a record's bytes and its arrays'."""
    return hashlib.sha256(content + hashlib.sha256(packed).digest()).hexdigest()


def _content(path: Path, most: int = reading.MOST) -> bytes:
    try:
        return reading.read_bytes(path, most)
    except FileError as error:
        raise RecordError(error.reason) from error


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        stored = reading.parse_json(path, content)
    except FileError as error:
        raise RecordError(error.reason) from error
    if not isinstance(stored, dict) or type(stored.get("schema")) is not int:
        raise RecordError("it is not a record of hashbench")
    if stored["schema"] > SCHEMA:
        raise NewerRecordError(
            f"it was written by a newer hashbench (schema {stored['schema']}). Upgrade to read it."
        )
    return stored


def _record(stored: dict[str, Any], path: Path) -> RunRecord:
    """The record, of the right form and under its own name."""
    problem = mismatch(stored, RunRecord, "record") or next(filter(None, _mismatches(stored)), "")
    if problem:
        raise RecordError(problem)
    record = RunRecord.from_json(stored)
    if problem := nonsense(record):
        raise RecordError(problem)
    _check_name(record, path)
    return record


def _mismatches(stored: dict[str, Any]) -> Iterator[str]:
    """What the annotations of a record leave open and its readers rely on."""
    spec, environment = stored["spec"], stored.get("environment", {})
    for name in ("params", "dataset_params"):
        yield mismatch(spec.get(name, {}), _VALUES, f"record.spec.{name}")
    yield mismatch(environment, _VALUES, "record.environment")
    for name in ("threads", "jobs"):
        yield mismatch(environment.get(name, 1), int, f"record.environment.{name}")


def _check_name(record: RunRecord, path: Path) -> None:
    if file_name(record.spec) != path.name:
        raise RecordError(f"it holds {record.spec}, whose file is {file_name(record.spec)}")


def _packed(name: object, path: Path) -> tuple[bytes, hashlib._Hash]:
    """The bytes of the arrays that a record names, and their digest."""
    file = _arrays_file(name, path)
    try:
        packed = _content(file, most=sys.maxsize - 1)
    except RecordError as error:
        raise RecordError(f"its arrays {name}: {error}") from error
    digest = hashlib.sha256(packed)
    if f".{digest.hexdigest()[:8]}" != file.suffixes[-2]:
        raise RecordError(f"its arrays {name} have changed: they do not match the digest in their name")
    return packed, digest


def _arrays_file(name: object, path: Path) -> Path:
    """The file of the arrays that the record in ``path`` names."""
    if not is_arrays_name(name, path.name):
        raise RecordError(f"its arrays are {name!r}; expected {path.stem}.DIGEST8.npz beside it")
    file = path.with_name(str(name))
    if not os.path.lexists(file):
        raise RecordError(f"its arrays {name} are missing")
    return file


def _check_scores(record: RunRecord, packed: bytes, path: Path) -> None:
    """Raise RecordError unless a result follows from its arrays, and a cell without one has none."""
    if record.status != "ok":
        if record.rounds or record.arrays:
            raise RecordError(f"it is {record.status} and has scores or arrays; expected none")
        return
    if not record.rounds or not packed:
        raise RecordError(f"it has a result without {'arrays' if record.rounds else 'a round'}")
    try:
        problem = recount.fault(record, dict(Arrays(path.with_name(record.arrays), packed)))
    except (StoreError, *_UNCOUNTABLE) as error:
        raise RecordError(f"its arrays cannot be counted: {error}") from error
    if problem:
        raise RecordError(problem)
