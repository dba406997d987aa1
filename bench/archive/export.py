"""Exports stored results for other tools: CSV, Parquet, TREC runs, benchopt's data frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract.items import MODALITIES, Modality, Split
from bench.errors import BenchError, ParameterError, StoreError, not_installed
from bench.records import SINCE, RunRecord, RunSpec, no_codes
from bench.reporting import writing
from bench.reporting.tables import csv_cell
from bench.results import Results
from bench.scoring import hamming
from bench.study.planned import PlannedData
from bench.study.planner import Planner

_SIDES: dict[str, Modality] = {m[0]: m for m in MODALITIES}
DEPTH = 1000  # items of a TREC run per query, as trec_eval reads by default


def to_csv(results: Results, out: Path, data_root: Path) -> list[Path]:
    """The tidy frame of :meth:`bench.results.Results.frame`: a row per cell, round, metric and direction."""
    frame, cell = results.frame(), lru_cache(maxsize=None, typed=True)(csv_cell)  # few texts, many rows
    for name in frame.select_dtypes(exclude=["number", "bool"]):
        frame[name] = frame[name].map(cell)
    frame = frame.rename(columns=csv_cell)
    return [writing.atomically(out, lambda path: frame.to_csv(path, index=False))]


def to_parquet(results: Results, out: Path, data_root: Path) -> list[Path]:
    """The same frame as one Parquet file."""
    return [_parquet(results.frame(), out)]


def to_benchopt(results: Results, out: Path, data_root: Path) -> list[Path]:
    """One Parquet file with the columns of benchopt's results: a row per cell and evaluated round.

    The solver is the method, the objective is the protocol; ``stop_val`` is the round, ``time`` the
    seconds that fitting and re-hashing have taken up to it, ``objective_value`` is 1 − mAP I→T (benchopt
    minimises), and every stored metric is an ``objective_METRIC`` column.
    """
    import pandas as pd

    rows = [row for record in results for row in _benchopt_rows(record)]
    return [_parquet(pd.DataFrame(rows), out)]


def to_trec(results: Results, out: Path, data_root: Path, *, depth: int = DEPTH) -> list[Path]:
    """A folder with one run file per cell and direction, and the judgments they are scored against.

    Items, of the part of the database that scores are over, are ranked by Hamming distance after the last
    round, tied ones in the order in which they arrived, the first ``depth`` per query, or all for 0; the
    score is the negative distance. Judgments say how many labels query and item share. The trap: a metric
    computed from them is over a list that may be cut, in one order of its ties (:func:`trec_note`).
    """
    if depth < 0:
        raise ParameterError(f"depth is {depth}; expected a number of items, or 0 for all.")
    written, planner = [], Planner()
    for record in results:
        if record.has_codes and not record.reference:
            data = planner.data(record.spec.dataset, record.spec.dataset_params, data_root)
            written += list(_trec_cell(results, record, out, data, depth or None))
    if not written:
        raise StoreError(no_codes(results, "export"))
    return written


def trec_note(depth: int) -> str:
    """How average precision computed from a TREC run differs from bench's."""
    items = f"the first {depth} items" if depth else "all items"
    return (
        f"{items} per query, tied ones in order of arrival: average precision computed from these files is "
        f"over {'this cut and ' if depth else ''}this one order; bench's is over all items and expected over "
        "the orders of ties"
    )


FORMS: dict[str, tuple[str, Callable[..., list[Path]]]] = {
    "csv": ("results.csv", to_csv),
    "parquet": ("results.parquet", to_parquet),
    "trec": ("trec", to_trec),
    "benchopt": ("benchopt.parquet", to_benchopt),
}


def _benchopt_rows(record: RunRecord) -> Iterator[dict[str, Any]]:
    s, seconds = record.spec, 0.0
    for entry in record.rounds:
        seconds += sum(entry.seconds.get(stage, 0.0) for stage in ("fit_pool", "fit", "rehash"))
        scores = {f"objective_{key.replace('/', '_')}": value for key, value in entry.metrics.items()}
        yield {
            "objective_name": _objective(s),
            "data_name": s.dataset_label,
            "solver_name": f"{s.label}[bits={s.bits}]",
            "p_solver_bits": s.bits,
            **{f"p_solver_{name}": value for name, value in s.params.items()},
            "idx_rep": s.seed,
            "sampling_strategy": "iteration",
            "stop_val": entry.round,
            "time": seconds,
            "objective_value": 1 - entry.metrics["map/i2t"] if "map/i2t" in entry.metrics else np.nan,
            **scores,
            **{
                f"version-{name}": record.environment[name]
                for name in ("numpy", "torch")
                if name in record.environment
            },
        }


def _objective(spec: RunSpec) -> str:
    """The protocol, as benchopt names an objective; defaults are left out."""
    shown: dict[str, Any] = {"database": spec.database, "schedule": spec.schedule, "pool": spec.pool}
    defaults = {field.name: field.default for field in fields(RunSpec)}
    for name in ("evaluate", *SINCE, "val", "directions"):
        value = getattr(spec, name)
        if value != defaults[name]:
            shown[name] = "+".join(value) if name == "directions" else value
    return f"retrieval[{','.join(f'{name}={value}' for name, value in shown.items())}]"


def _trec_cell(
    results: Results, record: RunRecord, out: Path, data: PlannedData, depth: int | None
) -> Iterator[Path]:
    spec = record.spec
    arrays = results.evidence(record)
    query = data.queries(record, arrays)
    searched = _searched(record, arrays)
    database = data.dataset.train.take(arrays["rows/database"][searched].astype(np.intp))
    topics = [f"q{i}" for i in query.ids]
    documents = np.array([f"d{i}" for i in database.ids])
    part = "" if record.part == "all" else f"-{record.part}"
    name = _file_name(f"{spec.label}-{spec.dataset_label}-{spec.bits}b-s{spec.seed}-{spec.key}{part}")
    for direction in spec.directions:
        packed = (
            arrays[f"codes/query/{_SIDES[direction[0]]}"],
            arrays[f"codes/database/{_SIDES[direction[2]]}"][:, searched],
        )
        lines = _run_lines(*packed, topics, documents, tag=re.sub(r"\s+", "_", spec.label), depth=depth)
        yield _lines(out / f"{name}.{direction}.run", lines)
    pairs = f"{spec.dataset_label}-{record.data[:8]}-s{spec.seed}-{spec.pool}-val{spec.val}"
    if spec.unseen_classes:
        pairs += f"-unseen{spec.unseen_classes:g}"
    if part:  # the items trained on are drawn chunk by chunk
        pairs += f"-{spec.schedule}-train{spec.train}-delay{spec.delay}{part}"
    judged = out / f"{_file_name(pairs)}.qrels"
    if not judged.is_file():
        yield _lines(judged, _judgments(query, database, topics, documents))


def _searched(record: RunRecord, arrays: Mapping[str, Any]) -> Any:
    """Which items of the stored database the scores of a record are over, as an index of them."""
    if record.part == "all":
        return slice(None)
    trained = arrays["rows/trained"]
    return trained if record.part == "trained" else ~trained


def _run_lines(
    query: Any, database: Any, topics: list[str], documents: Any, *, tag: str, depth: int | None
) -> Iterator[str]:
    tag = tag.replace(" ", "")
    for row, topic in enumerate(topics):
        distance = hamming.distances_numpy(query[:, row : row + 1], database)[0]
        for rank, item in enumerate(np.argsort(distance, kind="stable")[:depth], start=1):
            yield f"{topic} Q0 {documents[item]} {rank} {-int(distance[item])} {tag}\n"


def _judgments(query: Split, database: Split, topics: list[str], documents: Any) -> Iterator[str]:
    assert query.labels is not None and database.labels is not None
    stored = database.labels.astype(np.float32)
    for topic, labels in zip(topics, query.labels, strict=True):
        shared = (stored @ labels.astype(np.float32)).astype(int)
        for item in np.flatnonzero(shared):
            yield f"{topic} 0 {documents[item]} {shared[item]}\n"


def _file_name(words: str) -> str:
    return re.sub(r"[^\w.-]", "_", words)


def _lines(path: Path, lines: Iterator[str]) -> Path:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(lines)

    return writing.atomically(path, write)


def _parquet(frame: Any, out: Path) -> Path:
    try:
        import pyarrow  # noqa: F401  # pandas writes Parquet with it
    except ImportError as error:
        raise BenchError(not_installed("Parquet", "pyarrow", "parquet")) from error
    return writing.atomically(out, lambda path: frame.to_parquet(path, index=False, engine="pyarrow"))
