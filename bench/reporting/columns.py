"""Properties that cells of one column share: chance, which labels alone decide, and threads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bench.errors import StoreError
from bench.records import RoundRecord, RunRecord, RunSpec

_NOISE = 1e-12  # relative


def check_chance(records: Iterable[RunRecord]) -> None:
    """Raise StoreError where two records disagree on a chance level that must be the same."""
    for fault in chance_faults(records):
        raise StoreError(fault)


def chance_faults(records: Iterable[RunRecord]) -> Iterator[str]:
    """Every record whose chance level differs from that of an earlier one with the same labels.

    Chance must agree wherever the same queries search the same items, whatever the method, its parameters,
    the code length and the kind of database: for the same data, schedule, seed and round, with the same
    items taken out for validation or a separate pool, and, over trained or unseen items, the same share of
    them. After the last round all items are in the database, so schedule and seed decide nothing unless
    items were taken out, or deleted by a runbook.
    """
    known: dict[tuple[object, ...], tuple[float, RunRecord]] = {}
    for record in records:
        for place, name, value in _levels(record):
            first, other = known.setdefault((*place, name), (value, record))
            if not (math.isclose(first, value, rel_tol=_NOISE) or (math.isnan(first) and math.isnan(value))):
                yield (
                    f"{name} is {first:.6g} for {other.spec} and {value:.6g} for {record.spec}. Both search "
                    "the same items with the same queries; expected one level. Run the wrong one again."
                )


def _levels(record: RunRecord) -> Iterator[tuple[tuple[object, ...], str, float]]:
    """Every chance level of a record: what is searched, the metric with its direction, and the value."""
    for entry in record.over("all").rounds:
        for part in ("all", *entry.parts):
            scores = entry if part == "all" else entry.parts[part]
            searched = _searched(record, entry, part)
            for name, value in scores.metrics.items():
                if name.startswith(("chance/", "chance@")):
                    yield searched, name, value


def _searched(record: RunRecord, entry: RoundRecord, part: str) -> tuple[object, ...]:
    """Everything that decides which items a part of the database holds, and which queries search it."""
    spec = record.spec
    held = (spec.unseen_classes, spec.seed) if spec.unseen_classes else ()  # decide the queries
    data = spec.dataset_label, record.data, _carved(spec), held
    if part == "all" and entry is record.rounds[-1] and not _carved(spec) and not spec.schedule.steps:
        return data
    return (*data, str(spec.schedule), spec.seed, entry.round, *((part, spec.train) if part != "all" else ()))


def _carved(spec: RunSpec) -> str:
    """Which items were taken out of the stream, if any."""
    pool = spec.pool if spec.pool.startswith("separate") else ""
    return f"val={spec.val} {pool}" if spec.val or pool else ""


def uneven_threads(records: Sequence[RunRecord]) -> list[tuple[RunRecord, str]]:
    """The records that ran on another number of threads than most of their dataset, with that fact.

    Threads may decide the last bits of sums, and how long a cell takes.
    """
    ran = [(record, record.environment["threads"]) for record in records if "threads" in record.environment]
    counts: dict[str, Counter[int]] = {}
    for record, threads in ran:
        counts.setdefault(record.spec.dataset_label, Counter())[threads] += 1
    usual = {dataset: counted.most_common(1)[0][0] for dataset, counted in counts.items()}
    return [
        (record, f"ran on {_threads(threads)}, most of the column on {usual[record.spec.dataset_label]}")
        for record, threads in ran
        if threads != usual[record.spec.dataset_label]
    ]


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
