"""Which records may share a table, and the caption and notes that every report owes its reader."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from bench.errors import ParameterError
from bench.records import (
    DATABASES,
    DIRECTIONS,
    DISTANCES,
    PARTS,
    REFERENCES,
    SINCE,
    Direction,
    RoundRecord,
    RunRecord,
    RunSpec,
    kind_of,
    origin,
)
from bench.reporting import columns
from bench.reporting.metric import chance_name, short
from bench.reporting.results import Results
from bench.reporting.tables import Entry

DIRECTION_NAMES: dict[str, str] = {d: f"{d[0].upper()}→{d[2].upper()}" for d in DIRECTIONS}
NO_RECORDS = "no records to show. Run `bench run` first, or filter less."
APART = ("database", "schedule", "evaluate", *SINCE, "val", "directions")
FUTURE, STALE, PARALLEL, BREACH, THREADS, CONSTANT, DISTANCE = "◊", "§", "∥", "¶", "¤", "∅", "Δ"
PARALLEL_NOTE = (
    f"{PARALLEL} timed while other cells ran (--jobs above 1), which makes it slower: do not compare"
)
T = TypeVar("T")
K = TypeVar("K")
_FIDELITY_MARKS = {"modified": "⋆", "reconstruction": "†", "adaptation": "‡"}  # after a method's name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Records whose numbers may stand in one column: they differ in method, dataset, bits and seed.

    ``pool`` is the one of the methods that have an offline stage. ``slug`` is its part of file names, where
    a report shows several protocols.
    """

    results: Results
    pool: str
    records: tuple[RunRecord, ...]
    slug: str = ""

    def part(self, records: Iterable[RunRecord]) -> Protocol:
        """The same protocol with these of its records."""
        return replace(self, records=tuple(records))

    @cached_property
    def datasets(self) -> dict[str, list[RunRecord]]:
        """Records by dataset, in order of appearance."""
        return grouped(self.records, dataset_of)

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks after each method's name: ⋆ † ‡ for its fidelity, ◊ if its teacher saw the future, Δ if
        it ranks by another distance than Hamming's, ¶ if it fails the contract or was not checked against it,
        ¤ if some of its cells ran on other threads.
        """
        marks: dict[str, dict[str, None]] = {}
        for record in self.records:
            mine = marks.setdefault(record.spec.label, {})
            mine[_FIDELITY_MARKS.get(kind_of(record.fidelity), "")] = None
            mine[FUTURE if record.spec.sees_future else ""] = None
            mine[DISTANCE if record.distance != "hamming" else ""] = None
            mine[BREACH if record.breach else ""] = None
        for record, _ in columns.uneven_threads(self.records):
            marks[record.spec.label][THREADS] = None
        return {label: "".join(sorted(mine)) for label, mine in marks.items()}

    @cached_property
    def references(self) -> dict[str, str]:
        """Label → kind of the methods that stand below the rule and are never the best."""
        return {r.spec.label: r.reference for r in self.records if r.reference}

    @cached_property
    def rivals(self) -> list[RunRecord]:
        """The records that may be ranked: with numbers, no reference, and no constant codes.

        A method has no rank on a dataset at a code length if any of its seeds there has constant codes.
        """
        constant = {_place(r) for r in self.records if r.constant}
        rivals = (r for r in self.records if not r.word and r.spec.label not in self.references)
        return [r for r in rivals if _place(r) not in constant]

    @cached_property
    def _stale_labels(self) -> set[str]:
        return {r.spec.label for r in self.records if r.spec.key in self.results.stale}

    def name(self, label: str, more: str = "") -> Entry:
        """A method's name with all its marks, then ``more``, then § where any of its records is stale."""
        return Entry(label, extra=self.marks[label] + more + (STALE if label in self._stale_labels else ""))

    def entry(
        self,
        records: Sequence[RunRecord],
        values: Sequence[float],
        seeds: int,
        *,
        mark: str = "",
        below: str = "",
    ) -> Entry:
        """The mean of the values of some records, with spread, and their number if it is below ``seeds``.

        Without values it is the word of a record that has none: ``failed`` or ``skipped``. Scores of constant
        codes are marked, and never the best.
        """
        old = STALE if any(r.spec.key in self.results.stale for r in records) else ""
        if not values:
            return Entry(next((r.word for r in records if r.word), "–"), extra=old)
        known = [value for value in values if not math.isnan(value)]  # some seeds may have no such query
        mean = statistics.fmean(known) if known else math.nan
        spread = f" ±{short(statistics.stdev(known))}" if len(known) > 1 else ""
        count = f" (n={len(known)})" if 0 < len(known) < seeds else ""
        if any(r.constant for r in records):
            return Entry(short(mean), None, CONSTANT + mark + old + spread + count, below)
        return Entry(short(mean), mean, mark + old + spread + count, below)

    def caption(self, *, metric: str = "", swept: Sequence[str] = ()) -> tuple[str, ...]:
        """The protocol, but for the axes in ``swept``, on which the records differ.

        With ``metric``, also its chance level after the last round.
        """
        spec = self.records[0].spec
        policy = "by a policy" if "rehash" in spec.disturbed else DATABASES[spec.database]
        lines = [] if "database" in swept else [f"database {spec.database}: {policy}"]
        mixed = any(r.spec.pool != self.pool for r in self.records)
        pool = f"{self.pool}" + (" (none for a method without an offline stage)" if mixed else "")
        axes = {"schedule": schedules(self.records), "pool": pool, "evaluate": self._evaluate()}
        lines.append("; ".join(f"{name} {value}" for name, value in axes.items() if name not in swept))
        runbooks = dict.fromkeys(r.spec.schedule for r in self.records if r.spec.schedule.steps)
        lines += (f"{one}: {one.brief}; deleted items are searched no more" for one in runbooks)
        if "train" not in swept:
            over = f"scores over {PARTS[self.records[0].part]}"
            known = "methods are trained on every item that is searched"
            lines.append(f"train {spec.train}: {over if spec.divided else known}")
        if spec.labelled < 1 and "labelled" not in swept:
            lines.append(f"labelled {spec.labelled:g}: the labels of the other training items were withheld")
        if spec.paired < 1 and "paired" not in swept:
            lines.append(f"paired {spec.paired:g}: one modality of the other training items was withheld")
        lines += [f"{name} {text}" for name, text in spec.disturbed.items() if name not in swept]
        if spec.val:
            lines.append(
                f"VALIDATION, for tuning only: {spec.val} training items are the queries; "
                "the test queries were not read"
            )
        return (*lines, *(_dataset_line(name, records, metric) for name, records in self.datasets.items()))

    def _evaluate(self) -> str:
        """The rounds that are evaluated; runbooks say it themselves."""
        others = dict.fromkeys(r.spec.evaluate for r in self.records if not r.spec.schedule.steps)
        own = "in its own steps" if not others else "runbooks in their own steps"
        runbooks = any(r.spec.schedule.steps for r in self.records)
        return ", ".join([*others, *([own] if runbooks else [])])

    def notes(self) -> tuple[str, ...]:
        """Where the methods come from, and every record that is not a plain result, with its reason."""
        lines = [*self._origins(), *named(self.records), *_distances(self.records)]
        for reference, text in REFERENCES.items():
            labels = [label for label, kind in self.references.items() if kind == reference]
            if labels:
                lines.append(f"{text}: {', '.join(sorted(labels))}")
        if any(r.spec.sees_future for r in self.records):
            lines.append(
                f"{FUTURE} saw the future: its offline stage had the items of all rounds (pool=full)"
            )
        lines += breaches(self.records)
        stale = self.results.stale
        old = [(r, stale[r.spec.key]) for r in self.records if r.spec.key in stale]
        lines += (f"{STALE} stale: {text}" for text in _gathered(old))
        if constant := sorted({r.spec.label for r in self.records if r.constant}):
            says = "constant codes: the score says nothing, and is neither best nor second"
            lines.append(f"{CONSTANT} {says}: {', '.join(constant)}")
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
            yield f"{_FIDELITY_MARKS.get(kind_of(fidelity), '')} {origin(fidelity)}: {labels}".strip()

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
            **{name: getattr(spec, name) for name in ("val", "evaluate", *SINCE)},
            "searched": record.part,
            "data": record.data,
            "method": spec.label,
            "fidelity": record.fidelity,
            "contract": record.breach,
            "distance": record.distance,
            "bits": spec.bits,
        }

    def outcome(self, records: Sequence[RunRecord]) -> dict[str, str]:
        """Why records have no numbers, and why they are stale, for a row of plain numbers."""
        stale = [self.results.stale[r.spec.key] for r in records if r.spec.key in self.results.stale]
        return {"reason": reasons(records), "stale": "; ".join(dict.fromkeys(stale))}


def protocols(results: Results, *, swept: Sequence[str] = ()) -> list[Protocol]:
    """Divide records so that no column mixes protocols, in order of appearance.

    Records are apart when they differ in a field of ``APART``, in the part of the database that their
    scores are over or, for the same dataset, in its fingerprint. Datasets whose own schedules differ in the
    size of chunks stand together where each runs its own. Records are also apart when they differ in pool,
    but a method without an offline stage (pool ``none``) stands beside those that have one, in every such
    table. One that has a stage and was run without it stands apart. Axes in ``swept`` keep nothing apart;
    with ``schedule`` among them, a runbook, which says itself when to evaluate, stands beside the others.
    Raises ParameterError where there is no record, StoreError where records disagree on a chance level that
    must be the same.
    """
    if not results.records:
        raise ParameterError(NO_RECORDS)
    columns.check_chance(results.records)
    prints: dict[tuple[Any, ...], list[str]] = {}  # fingerprints of a dataset under a protocol
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    evaluate = evaluation(results, swept)
    for record in results:
        axes = {name: getattr(record.spec, name) for name in APART} | {"evaluate": evaluate(record.spec)}
        base = (record.part, *(value for name, value in axes.items() if name not in swept))
        known = prints.setdefault((*base, dataset_of(record)), [])
        if record.data and record.data not in known:
            known.append(record.data)
        version = known.index(record.data) if record.data else 0
        groups.setdefault((*base, version), []).append(record)
    kept = [name for name in APART if name not in swept]
    shared = (
        _own_schedules(results, groups, 1 + kept.index("schedule")) if "schedule" in kept else groups.values()
    )
    apart = [part for group in shared for part in _by_pool(results, group)]
    if len(apart) < 2:
        return apart
    names = enumerate(differences(apart, swept))
    return [replace(part, slug=part_name(i, name)) for part, (i, name) in zip(apart, names, strict=True)]


def evaluation(results: Results, swept: Sequence[str]) -> Callable[[RunSpec], str]:
    """The rounds that a cell evaluates, as tables are divided by them.

    Where schedules are swept, a runbook counts as the first of the others.
    """
    first = next((r.spec.evaluate for r in results if not r.spec.schedule.steps), "all")
    return lambda spec: first if "schedule" in swept and spec.schedule.steps else spec.evaluate


def differences(apart: Sequence[Protocol], swept: Sequence[str] = ()) -> list[str]:
    """The values of every protocol on the axes in which these differ, but for those in ``swept``."""
    axes = [
        {"pool": p.pool, **{name: str(getattr(p.records[0].spec, name)) for name in APART}} for p in apart
    ]
    names = [name for name in axes[0] if name not in swept and len({values[name] for values in axes}) > 1]
    return [" ".join(values[name] for name in names) for values in axes]


def part_name(number: int, text: str) -> str:
    """Part of a file name; the number keeps two protocols of one dataset apart."""
    return f"{number + 1}-{re.sub(r'[^a-z0-9_]+', '-', text.lower()).strip('-')}".strip("-")


def _own_schedules(
    results: Results, groups: Mapping[tuple[Any, ...], list[RunRecord]], place: int
) -> Iterable[list[RunRecord]]:
    """Join groups that differ only in the size of chunks, where every dataset has its own default size.

    ``place`` is that of the schedule in the keys.
    """
    joined: dict[tuple[Any, ...], list[RunRecord]] = {}
    for key, records in groups.items():
        own = {dataset_of(r): r.spec for r in records}
        if all(results.own_schedule(spec) for spec in own.values()):
            schedule = key[place]
            key = (*key[:place], (schedule.order, schedule.last), *key[place + 1 :])
        joined.setdefault(key, []).extend(records)
    return joined.values()


def schedules(records: Iterable[RunRecord]) -> str:
    """The schedule of records of one protocol, or that of each dataset where every one has its own.

    Datasets in order of appearance: ``wiki shuffled:500, fashion shuffled:2000 (each dataset's own)``.
    """
    by_name = {dataset_of(r): str(r.spec.schedule) for r in records}
    if len(set(by_name.values())) == 1:
        return next(iter(by_name.values()))
    return ", ".join(f"{name} {text}" for name, text in by_name.items()) + " (each dataset's own)"


def by_dataset(results: Results, *, swept: Sequence[str] = ()) -> list[Protocol]:
    """The same, divided also by dataset."""
    return [
        protocol.part(records)
        for protocol in protocols(results, swept=swept)
        for records in protocol.datasets.values()
    ]


def _by_pool(results: Results, records: Sequence[RunRecord]) -> Iterator[Protocol]:
    """A pool that takes nothing out of the stream leaves the methods without one comparable."""
    pools = dict.fromkeys(r.spec.pool for r in records)
    guests = _guests(results, records) if len(pools) > 1 else set()
    seated = False
    for pool in pools:
        if pool == "none":
            continue
        shares = not pool.startswith("separate")
        seated |= shares
        here = [r for r in records if r.spec.pool == pool or (shares and r.spec.label in guests)]
        yield Protocol(results=results, pool=pool, records=tuple(here))
    rest = tuple(r for r in records if r.spec.pool == "none")
    if rest and not (seated and {r.spec.label for r in rest} <= guests):
        yield Protocol(results=results, pool="none", records=rest)


def _guests(results: Results, records: Sequence[RunRecord]) -> set[str]:
    """Labels of methods that have no offline stage, so that they run with no pool but ``none``.

    A method that is not installed counts as one of them.
    """
    pooled = {r.spec.label for r in records if r.spec.pool != "none"}
    methods = {r.spec.label: results.method(r.spec.method) for r in records if r.spec.label not in pooled}
    return {label for label, cls in methods.items() if cls is None or not cls.capabilities.pool}


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by their key, both in order of appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_label(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """The records of every method, in order of appearance."""
    return grouped(records, lambda record: record.spec.label)


def by_row(records: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """Records of one method at one code length, one per seed; methods in order of appearance."""
    return [
        [record for record in mine if record.spec.bits == bits]
        for mine in by_label(records).values()
        for bits in sorted({record.spec.bits for record in mine})
    ]


def _shown(spec: RunSpec) -> tuple[tuple[str, str], tuple[str, str]]:
    """Method and dataset as they are shown, and as they are selected."""
    return (spec.label, spec.dataset_label), spec.selectors


def named(records: Iterable[RunRecord]) -> Iterator[str]:
    """A line for each method and dataset that is shown under another name than its selector."""
    shown = dict.fromkeys(pair for r in records for pair in zip(*_shown(r.spec), strict=True))
    for name, selected in shown:
        if name != selected and f"path={name}]" not in selected:
            yield f"{name} is {selected}"


def _place(record: RunRecord) -> tuple[str, str, int]:
    """The entry of a table that a record is part of, in one direction."""
    return record.spec.label, dataset_of(record), record.spec.bits


def dataset_of(record: RunRecord) -> str:
    """The dataset as it is shown: ``wiki``, ``mine.npz``, or the name that it was given."""
    return record.spec.dataset_label


def parallel(records: Iterable[RunRecord]) -> bool:
    """Whether any of the records was timed while other cells ran."""
    return any(int(r.environment.get("jobs", 1)) > 1 for r in records)


def clock(records: Iterable[RunRecord]) -> str:
    """The suffix of the stages whose seconds to show: "_cpu" where the wall clock is noisy, else "".

    It is noisy where other cells ran beside, or where the CPU was at work for less than four fifths of it.
    """
    ran = [r for r in records if not r.word]
    spent = [r.seconds for record in ran for r in record.rounds]
    wall = sum(s[name] for s in spent for name in s if f"{name}_cpu" in s)
    cpu = sum(s[f"{name}_cpu"] for s in spent for name in s if f"{name}_cpu" in s)
    measured = bool(spent) and all("fit_cpu" in s for s in spent if "fit" in s)
    return "_cpu" if measured and (parallel(ran) or cpu < 0.8 * wall) else ""


def clock_line(suffix: str) -> str:
    """The line of a caption on the clock that :func:`clock` chose."""
    if not suffix:
        return "seconds of wall clock"
    return "CPU seconds of all threads, since other work on the machine makes the wall clock noisy"


def breaches(records: Iterable[RunRecord]) -> Iterator[str]:
    """A line for what stands between methods and the contract."""
    labels: dict[str, set[str]] = {}
    for record in records:
        labels.setdefault(record.breach, set()).add(record.spec.label)
    return (f"{BREACH} {text}: {', '.join(sorted(found))}" for text, found in labels.items() if text)


def _distances(records: Iterable[RunRecord]) -> Iterator[str]:
    """A line for each distance other than Hamming's; all methods have as many bits an item."""
    by_distance = grouped(records, lambda record: record.distance)
    for distance, text in DISTANCES.items():
        if distance != "hamming" and distance in by_distance:
            labels = ", ".join(sorted({r.spec.label for r in by_distance[distance]}))
            yield f"{DISTANCE} ranked by {text}, not by Hamming distance; as many bits an item: {labels}"


def reasons(records: Iterable[RunRecord]) -> str:
    """Why records have no numbers, each reason once."""
    return "; ".join(dict.fromkeys(f"{r.word}: {r.trouble}" for r in records if r.word))


def _dataset_line(name: str, records: Sequence[RunRecord], metric: str) -> str:
    parts = [_seeds(records)]
    last = [r.rounds[-1] for r in records if not r.word]
    if last:
        parts.append(f"{_range(r.queries for r in last)} queries ({_empty(last)})")
        parts.append(f"{_range(r.items for r in last)} {_searched(records[0].part)}")
        parts += [chance_level(metric, last)] if metric else []
    fingerprint = next((r.data for r in records if r.data), "")
    return f"{name}: " + "; ".join([*parts, *([f"data {fingerprint[:8]}"] if fingerprint else [])])


def _searched(part: str) -> str:
    return "items in the database" if part == "all" else f"{part} items searched"


def _empty(rounds: Sequence[RoundRecord]) -> str:
    """Queries without a relevant item."""
    counts = {d: _range(r.empty_queries[d] for r in rounds if d in r.empty_queries) for d in DIRECTIONS}
    text = _per_direction({d: f"{count} empty" for d, count in counts.items() if count}) or "0 empty"
    return text if text == "0 empty" else f"{text}, left out of means"


def chance_level(metric: str, rounds: Sequence[RoundRecord]) -> str:
    """The chance level of a metric."""
    keys = {d: f"{chance_name(metric)}/{d}" for d in DIRECTIONS}
    levels = {d: _range(short(r.metrics[key]) for r in rounds if key in r.metrics) for d, key in keys.items()}
    return f"chance level {_per_direction(levels) or 'not stored'}"


def _per_direction(texts: Mapping[Direction, str]) -> str:
    """The text that all directions share, or each with its direction; "" where there is none."""
    known = {DIRECTION_NAMES[d]: text for d, text in texts.items() if text}
    if len(set(known.values())) > 1:
        return ", ".join(f"{name} {text}" for name, text in known.items())
    return next(iter(known.values()), "")


def _range(values: Iterable[Any]) -> str:
    ordered = sorted(set(values))
    return "" if not ordered else str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]}–{ordered[-1]}"


def _seeds(records: Iterable[RunRecord]) -> str:
    seeds = {r.spec.seed for r in records}
    return ("seed " if len(seeds) == 1 else "seeds ") + listed(seeds)


def listed(values: Iterable[int]) -> str:
    """``0, 1, 2``; a long run as ``0–9``."""
    ordered = sorted(set(values))
    if len(ordered) > 4 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _gathered(reasons: Iterable[tuple[RunRecord, str]]) -> Iterator[str]:
    """One line per reason for all methods and datasets that share bits and seeds."""
    by_method = grouped(reasons, lambda pair: (pair[0].spec.label, dataset_of(pair[0]), pair[1]))
    datasets: dict[tuple[str, str, str], list[str]] = {}
    for (label, dataset, reason), pairs in by_method.items():
        records = [record for record, _ in pairs]
        cells = f"{listed(r.spec.bits for r in records)} bits, {_seeds(records)}"
        datasets.setdefault((label, cells, reason), []).append(dataset)
    labels = grouped(datasets, lambda key: (_joined(datasets[key]), *key[1:]))
    for (where, cells, reason), keys in labels.items():
        yield f"{', '.join(label for label, *_ in keys)} on {where}, {cells}: {reason}"


def _joined(names: Sequence[str]) -> str:
    """``wiki, fashion and scenes``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
