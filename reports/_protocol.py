"""Which records may share a table, and what must be said under it: the same for every report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bench.errors import BenchError, ParameterError
from bench.plugins import registry
from bench.records import DATABASES, DIRECTIONS, REFERENCES, RoundRecord, RunRecord, origin, selector
from bench.reporting import columns
from bench.reports._metric import chance_name, short

Stale = Mapping[str, str]  # RunSpec.key → reason
DIRECTION_NAMES: dict[str, str] = {d: f"{d[0].upper()}→{d[2].upper()}" for d in DIRECTIONS}
NOTHING = "no records to make a table of. Run `bench run` first, or select fewer things away."

_MARKS = {"reconstruction": "†", "adaptation": "‡"}  # at the name of a method of this fidelity
APART = ("database", "schedule", "evaluate", "labelled", "paired", "val", "directions")
FUTURE, STALE, PARALLEL, THREADS = "◊", "§", "∥", "¶"
PARALLEL_NOTE = f"{PARALLEL} timed beside other runs (--jobs above 1), which lengthens it: not to be compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Records whose numbers may stand in one column: they differ in method, dataset, bits and seed."""

    pool: str  # of the methods that have an offline stage
    records: tuple[RunRecord, ...]

    @property
    def datasets(self) -> dict[str, list[RunRecord]]:
        """Records by dataset, in order of appearance."""
        found: dict[str, list[RunRecord]] = {}
        for record in self.records:
            found.setdefault(dataset_of(record), []).append(record)
        return found

    def caption(self, *, metric: str = "", swept: Sequence[str] = ()) -> tuple[str, ...]:
        """The protocol, but for the axes in ``swept``, on which the records differ.

        With ``metric``, also its chance level after the last round.
        """
        spec = self.records[0].spec
        lines = [] if "database" in swept else [f"database {spec.database}: {DATABASES[spec.database]}"]
        mixed = any(r.spec.pool != self.pool for r in self.records)
        pool = f"{self.pool}" + (" (none for a method without an offline stage)" if mixed else "")
        told = {"schedule": spec.schedule, "pool": pool, "evaluate": spec.evaluate}
        lines.append("; ".join(f"{name} {value}" for name, value in told.items() if name not in swept))
        if spec.labelled < 1 and "labelled" not in swept:
            lines.append(f"labelled {spec.labelled:g}: the labels of the other training items were withheld")
        if spec.paired < 1 and "paired" not in swept:
            lines.append(f"paired {spec.paired:g}: of the other training items one modality was withheld")
        if spec.val:
            lines.append(
                f"VALIDATION, for tuning only: {spec.val} training items are the queries; "
                "the test queries were not read"
            )
        return (*lines, *(_dataset_line(name, records, metric) for name, records in self.datasets.items()))

    def marks(self) -> dict[str, str]:
        """What follows each method's name: † ‡ by its fidelity, ◊ if its teacher saw the future, ¶ if some of
        its cells ran on other threads than the rest.
        """
        found: dict[str, dict[str, None]] = {}
        for record in self.records:
            marks = found.setdefault(record.spec.label, {})
            marks[_MARKS.get(record.fidelity, "")] = None
            marks[FUTURE if record.spec.sees_future else ""] = None
        for record, _ in columns.uneven_threads(self.records):
            found[record.spec.label][THREADS] = None
        return {label: "".join(sorted(marks)) for label, marks in found.items()}

    def references(self) -> dict[str, str]:
        """Methods that stand below the rule and are never the best, with what they are."""
        return {r.spec.label: r.reference for r in self.records if r.reference}

    def notes(self, stale: Stale) -> tuple[str, ...]:
        """Where the methods come from, and every record that is not a plain result, with its reason."""
        lines = list(self._origins())
        for reference, words in REFERENCES.items():
            labels = [label for label, kind in self.references().items() if kind == reference]
            if labels:
                lines.append(f"{words}: {', '.join(sorted(labels))}")
        if any(r.spec.sees_future for r in self.records):
            lines.append(
                f"{FUTURE} saw the future: its offline stage was given the items of all rounds (pool=full)"
            )
        if stale:
            old = [(r, stale[r.spec.key]) for r in self.records if r.spec.key in stale]
            lines += (f"{STALE} stale: {text}" for text in _gathered(old))
        for status in ("skipped", "failed"):
            lines += (
                f"{status}: {text}"
                for text in _gathered((r, r.trouble) for r in self.records if r.word == status)
            )
        lines += (f"{THREADS} {text}" for text in _gathered(columns.uneven_threads(self.records)))
        lines += (f"note: {text}" for text in _gathered((r, n) for r in self.records for n in r.notes))
        return tuple(lines)

    def _origins(self) -> Iterator[str]:
        by_fidelity: dict[str, set[str]] = {}
        known = {r.spec.label: r.fidelity for r in self.records if r.fidelity}
        for record in self.records:
            fidelity = record.fidelity or known.get(record.spec.label, "")
            by_fidelity.setdefault(fidelity, set()).add(record.spec.label)
        for fidelity in sorted(by_fidelity):
            labels = ", ".join(sorted(by_fidelity[fidelity]))
            yield f"{_MARKS.get(fidelity, '')} {origin(fidelity)}: {labels}".strip()

    def columns(self, *records: RunRecord) -> dict[str, Any]:
        """The protocol of records, for a row of plain numbers; all the values in which they differ."""
        rows = [self._columns(record) for record in records]
        values = {name: list(dict.fromkeys(row[name] for row in rows)) for name in rows[0]}
        return {name: v[0] if len(v) == 1 else " ".join(map(str, v)) for name, v in values.items()}

    def _columns(self, record: RunRecord) -> dict[str, Any]:
        spec = record.spec
        return {
            "dataset": dataset_of(record),
            "database": spec.database,
            "schedule": str(spec.schedule),
            "pool": spec.pool,
            "saw_future": spec.sees_future,
            "val": spec.val,
            "evaluate": spec.evaluate,
            "labelled": spec.labelled,
            "paired": spec.paired,
            "data": record.data,
            "method": spec.label,
            "fidelity": record.fidelity,
            "bits": spec.bits,
        }


def protocols(records: Sequence[RunRecord], *, swept: Sequence[str] = ()) -> list[Protocol]:
    """Divide records so that no column mixes protocols, in order of appearance.

    Records are apart when they differ in database, schedule, evaluate, labelled, paired, val,
    directions or, for the same dataset, in its fingerprint. So they are in pool, but a method
    without an offline stage (pool ``none``) stands beside those that have one, in every such table. One
    that has a stage and was run without it stands apart. What is in ``swept`` keeps nothing apart.
    Raises StoreError where records disagree on a chance level that must be the same.
    """
    if not records:
        raise ParameterError(NOTHING)
    columns.check_chance(records)
    prints: dict[tuple[Any, ...], list[str]] = {}  # fingerprints of a dataset under a protocol
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        base = tuple(getattr(record.spec, name) for name in APART if name not in swept)
        known = prints.setdefault((*base, dataset_of(record)), [])
        if record.data and record.data not in known:
            known.append(record.data)
        version = known.index(record.data) if record.data else 0
        groups.setdefault((*base, version), []).append(record)
    return [part for group in groups.values() for part in _by_pool(group)]


def _by_pool(records: Sequence[RunRecord]) -> Iterator[Protocol]:
    """A pool that takes nothing out of the stream leaves the methods without one comparable."""
    pools = dict.fromkeys(r.spec.pool for r in records)
    guests = _guests(records) if len(pools) > 1 else set()
    seated = False
    for pool in pools:
        if pool == "none":
            continue
        shares = not pool.startswith("separate")
        seated |= shares
        here = [r for r in records if r.spec.pool == pool or (shares and r.spec.label in guests)]
        yield Protocol(pool=pool, records=tuple(here))
    rest = tuple(r for r in records if r.spec.pool == "none")
    if rest and not (seated and {r.spec.label for r in rest} <= guests):
        yield Protocol(pool="none", records=rest)


def _guests(records: Sequence[RunRecord]) -> set[str]:
    """Labels of methods that have no offline stage, so that they run with no pool but ``none``."""
    pooled = {r.spec.label for r in records if r.spec.pool != "none"}
    methods = {r.spec.label: r.spec.method for r in records if r.spec.label not in pooled}
    without = {method for method in set(methods.values()) if not _has_stage(method)}
    return {label for label, method in methods.items() if method in without}


def _has_stage(method: str) -> bool:
    """Whether a method has an offline stage, which a run may still have left out (``--pool none``)."""
    try:
        return _stage_of(method)
    except BenchError:  # a plugin that is not here
        return False


@lru_cache  # keeps no error: the plugin may be added later
def _stage_of(method: str) -> bool:
    return bool(registry.get("method", method).capabilities.pool)


def by_method(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Records of one method at one code length, methods in order of appearance."""
    labels = {label: i for i, label in enumerate(dict.fromkeys(r.spec.label for r in records))}
    found: dict[tuple[int, int], list[RunRecord]] = {}
    for record in records:
        found.setdefault((labels[record.spec.label], record.spec.bits), []).append(record)
    return [found[key] for key in sorted(found)]


def dataset_of(record: RunRecord) -> str:
    return selector(record.spec.dataset, record.spec.dataset_params)


def _dataset_line(name: str, records: Sequence[RunRecord], metric: str) -> str:
    parts = [_seeds(records)]
    last = [r.rounds[-1] for r in records if not r.word]
    if last:
        parts.append(f"{_range(r.queries for r in last)} queries ({_empty(last)})")
        parts.append(f"{_range(r.items for r in last)} items in the database")
        parts += [chance_level(metric, last)] if metric else []
    fingerprint = next((r.data for r in records if r.data), "")
    return f"{name}: " + "; ".join([*parts, *([f"data {fingerprint[:8]}"] if fingerprint else [])])


def _empty(rounds: Sequence[RoundRecord]) -> str:
    """Queries with nothing to find, per direction where the directions differ."""
    counts = {d: _range(r.empty_queries[d] for r in rounds if d in r.empty_queries) for d in DIRECTIONS}
    known = {DIRECTION_NAMES[d]: text for d, text in counts.items() if text}
    if len(set(known.values())) > 1:
        return ", ".join(f"{name} {text} empty" for name, text in known.items()) + ", left out of means"
    text = next(iter(known.values()), "0")
    return "0 empty" if text == "0" else f"{text} empty, left out of means"


def chance_level(metric: str, rounds: Sequence[RoundRecord]) -> str:
    """The chance level of a metric, per direction where the directions differ."""
    keys = {d: f"{chance_name(metric)}/{d}" for d in DIRECTIONS}
    levels = {d: _range(short(r.metrics[key]) for r in rounds if key in r.metrics) for d, key in keys.items()}
    known = {DIRECTION_NAMES[d]: text for d, text in levels.items() if text}
    if len(set(known.values())) > 1:
        return "chance level " + ", ".join(f"{name} {text}" for name, text in known.items())
    return f"chance level {next(iter(known.values()), 'not stored')}"


def _range(values: Iterable[Any]) -> str:
    found = sorted(set(values))
    return "" if not found else str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


def _seeds(records: Iterable[RunRecord]) -> str:
    seeds = {r.spec.seed for r in records}
    return ("seed " if len(seeds) == 1 else "seeds ") + _listed(seeds)


def _listed(values: Iterable[int]) -> str:
    """``0, 1, 2``; a long run as ``0–9``."""
    found = sorted(set(values))
    if len(found) > 4 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]}–{found[-1]}"
    return ", ".join(map(str, found))


def _gathered(reasons: Iterable[tuple[RunRecord, str]]) -> Iterator[str]:
    """One line per dataset and reason for all methods that share bits and seeds."""
    by_method: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record, reason in reasons:
        by_method.setdefault((record.spec.label, dataset_of(record), reason), []).append(record)
    lines: dict[str, list[str]] = {}
    for (label, dataset, reason), records in by_method.items():
        cells = f"on {dataset}, {_listed(r.spec.bits for r in records)} bits, {_seeds(records)}: {reason}"
        lines.setdefault(cells, []).append(label)
    return (f"{', '.join(labels)} {cells}" for cells, labels in lines.items())
