"""A static site of published studies: methods by dataset and protocol, each number with its provenance.

May import: archive, errors, page, records, reporting, results, storing.

The trap: two submissions may call different arrays by one name. Numbers stand side by side only where the
dataset has the same fingerprint and a table would put them under one protocol.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import __version__
from bench.archive import unpack, verify
from bench.errors import StoreError
from bench.page import build, data
from bench.records import DISTANCES, REFERENCES, RunRecord, kind_of, origin
from bench.reporting import writing
from bench.reporting.metric import chance_name, metric_title
from bench.reporting.protocol import APART, dataset_of, grouped
from bench.results import Results
from bench.storing.store import Store

_SCRIPTS = ("dom.js", "theme.js", "packed.js", "panel.js", "leaderboard.js")
ARCHIVES = "archives"  # the folder of the site that holds the archives to download

_Entry = tuple[int, RunRecord]  # the number of the submission, and one of its cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A published study: its cells with numbers on test queries, and the outcome of `bench verify`.

    ``archive`` and ``digest`` (its SHA-256) are "" for a results folder. ``faults`` are the reasons why it is
    not verified.
    """

    name: str
    by: str
    archive: str
    digest: str
    version: str  # of hashbench, that wrote the archive
    stored: int  # cells, with those that have no numbers
    records: Sequence[RunRecord]
    faults: Sequence[str]


def write(paths: Sequence[Path], site: Path) -> list[Submission]:
    """Write the site of these archives and results folders into the folder ``site``; return what it shows.

    ``index.html`` shows everything and needs no server; the archives are copied beside it. Raises
    StoreError where one cannot be read, holds no record, or has the name of another.
    """
    submissions = [read(path) for path in paths]
    for one, same in grouped(submissions, lambda s: s.name).items():
        if len(same) > 1:
            raise StoreError(
                f"{len(same)} submissions are called {one!r}; expected different names. Rename one."
            )
    text = build.page(
        "leaderboard.html", _SCRIPTS, policy="img-src data:", data=build.packed(content(submissions))
    )
    writing.text(site / "index.html", text)
    for path, submission in zip(paths, submissions, strict=True):
        if submission.archive:
            writing.atomically(site / submission.archive, lambda copy, path=path: shutil.copyfile(path, copy))  # type: ignore[misc]
    return submissions


def read(path: Path) -> Submission:
    """An archive, checked against its manifest, or a results folder, checked against its stored counts."""
    with unpack.opened(path) as folder:
        store = Store(folder, str(path))
        checked = verify.check(store)
        records = store.records()
    packed = not path.is_dir()
    manifest = unpack.manifest(path) if packed else None
    return Submission(
        name=path.stem if packed else path.resolve().name,
        by=manifest.by if manifest else "",
        archive=f"{ARCHIVES}/{path.name}" if packed else "",
        digest=_digest(path) if packed else "",
        version=manifest.hashbench if manifest else "",
        stored=len(records) + len(checked.faults),
        records=Results(r for r in records if not (r.word or r.spec.val)).records,
        faults=[
            *(f"{name}: {why}" for name, why in {**checked.faults, **checked.beside}.items()),
            *checked.disagreements,
        ],
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content(submissions: Sequence[Submission]) -> dict[str, Any]:
    """Everything that the site shows, as plain JSON."""
    entries = [(i, record) for i, one in enumerate(submissions) for record in one.records]
    if not entries:
        raise StoreError("no submission has a cell with numbers on test queries. Give others.")
    environments: list[dict[str, Any]] = []
    return {
        "submissions": [_submission(one) for one in submissions],
        "boards": [_board(cells, environments) for cells in grouped(entries, _place).values()],
        "environments": environments,
        "version": __version__,
    }


def _submission(one: Submission) -> dict[str, Any]:
    names = ("name", "by", "archive", "digest", "version", "stored")
    return {
        **{name: getattr(one, name) for name in names},
        "cells": len(one.records),
        "faults": list(one.faults),
    }


def _place(entry: _Entry) -> tuple[Any, ...]:
    """Everything that must be equal for two numbers to stand in one table, the columns aside."""
    _, record = entry
    axes = (getattr(record.spec, name) for name in APART)
    return dataset_of(record), record.data, record.part, _carved(record), *axes


def _carved(record: RunRecord) -> str:
    """The pool, where it takes items out of the stream."""
    return record.spec.pool if record.spec.pool.startswith("separate") else ""


def _board(cells: Sequence[_Entry], environments: list[dict[str, Any]]) -> dict[str, Any]:
    """One dataset under one protocol: a row per submission, method and pool."""
    first = cells[0][1]
    names = _metrics(record for _, record in cells)
    rows = grouped(cells, lambda entry: (entry[0], entry[1].spec.label, entry[1].spec.pool)).values()
    return {
        "dataset": dataset_of(first),
        "data": first.data,
        "title": data.title(first.spec, first.part, pool=_carved(first)),
        "facts": list(data.facts(first.spec, first.part, pool=_carved(first))),
        "directions": list(first.spec.directions),
        "items": first.rounds[-1].items,
        "queries": first.rounds[-1].queries,
        "metrics": [_metric(name, names) for name in names if not _aside(name)],
        "names": names,
        "rows": [_row(row, names, environments) for row in rows],
    }


def _metrics(records: Iterable[RunRecord]) -> list[str]:
    last = (record.rounds[-1].metrics for record in records)
    return list(dict.fromkeys(key.rpartition("/")[0] for values in last for key in values))


def _aside(name: str) -> bool:
    """Whether a score stands beside another: a bound over ties, or the level of chance."""
    return name.startswith("chance") or name.rpartition(":")[2] in data.BOUNDS


def _metric(name: str, names: Sequence[str]) -> dict[str, Any]:
    chance = chance_name(name)
    return {
        "at": names.index(name),
        "title": metric_title(name),
        "description": data.described(name),
        "chance": names.index(chance) if chance in names else None,
    }


def _row(cells: Sequence[_Entry], names: Sequence[str], environments: list[dict[str, Any]]) -> dict[str, Any]:
    submission, first = cells[0]
    return {
        "submission": submission,
        "method": first.spec.label,
        "pool": first.spec.pool,
        "kind": kind_of(first.fidelity),
        "origin": origin(first.fidelity),
        "reference": REFERENCES.get(first.reference, first.reference),
        "contract": "; ".join(dict.fromkeys(r.breach for _, r in cells if r.breach)),
        "notes": list(dict.fromkeys(note for _, r in cells for note in (*_distance(r), *r.notes))),
        "runs": [_run(record, names, environments) for _, record in cells],
    }


def _distance(record: RunRecord) -> Iterator[str]:
    if record.distance != "hamming":
        yield f"ranked by {DISTANCES.get(record.distance, record.distance)}, not by Hamming distance"


def _run(record: RunRecord, names: Sequence[str], environments: list[dict[str, Any]]) -> dict[str, Any]:
    environment = dict(record.environment)
    if environment not in environments:
        environments.append(environment)
    last = record.rounds[-1].metrics
    return {
        "bits": record.spec.bits,
        "seed": record.spec.seed,
        "key": record.spec.key,
        "code": record.code,
        "fit": sum(record.fit_seconds),
        "constant": record.constant,
        "environment": environments.index(environment),
        "values": {
            d: list(_values(last.get(f"{name}/{d}") for name in names)) for d in record.spec.directions
        },
    }


def _values(values: Iterable[float | None]) -> Iterator[float | None]:
    for value in values:
        yield None if value is None or not math.isfinite(value) else round(value, 8)
