"""One metric, methods in rows, datasets, directions and bits in columns; means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.records import DIRECTIONS, Direction, RoundRecord, RunRecord
from bench.reporting.evidence import Evidence
from bench.reporting.significance import LEVEL
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.reports._metric import chance_name, check_metric, definition, short
from bench.reports._protocol import (
    DIRECTION_NAMES,
    STALE,
    Protocol,
    Stale,
    dataset_of,
    protocols,
)
from bench.reports._scores import against_best, columns, corrected

INDISTINCT, UNTESTED = "≈", "?"
INDISTINCT_NOTE = (
    "not told from the best of its column: the larger p of a paired randomisation test over queries (mean "
    "over seeds) and a paired t-test over seeds, Holm-corrected in the column, is .05 or more"
)
Rounds = Callable[[RunRecord], Sequence[RoundRecord]]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What a column of numbers is about. ``round`` is -1 where only the last one is shown."""

    dataset: int  # position in the order of appearance
    direction: int
    bits: int
    round: int


@dataclass(slots=True)
class Samples:
    """The records of one entry of the table, and of each that ran its value by seed."""

    records: list[RunRecord] = field(default_factory=list)
    rounds: dict[int, RoundRecord] = field(default_factory=dict)

    def values(self, key: str) -> list[float]:
        return [r.metrics[key] for r in self.rounds.values() if key in r.metrics]


def table(records: Sequence[RunRecord], *, title: str, **options: Any) -> Table:
    """One block per protocol; the options are those of :class:`Grid`."""
    return joined(title, grids(records, **options))


def grids(records: Sequence[RunRecord], *, metric: str, **options: Any) -> list[Grid]:
    """The entries of every protocol."""
    check_metric(records, metric)
    return [Grid(p, metric=metric, **options) for p in protocols(records)]


def joined(title: str, parts: Sequence[Grid]) -> Table:
    """Grids as the blocks of one table."""
    data = [{"block": i, **row} for i, grid in enumerate(parts) for row in grid.data()]
    return Table(title=title, blocks=tuple(grid.block() for grid in parts), data=data)


def last_round(record: RunRecord) -> Sequence[RoundRecord]:
    return record.rounds[-1:]


class Grid:
    """The entries of one protocol.

    ``rounds`` chooses what is shown of a record, and ``when`` tells it; ``by_round`` gives every
    round a column. With ``evidence``, what cannot be told from the best of its column is marked.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        metric: str,
        stale: Stale,
        band: bool,
        rounds: Rounds = last_round,
        when: str = "after the last round",
        by_round: bool = False,
        evidence: Evidence | None = None,
    ) -> None:
        self.protocol, self.metric, self.stale = protocol, metric, stale
        self.when, self.by_round = when, by_round
        self.chance = chance_name(metric)  # stored, as the bounds are, for map and map@R alone
        self.entries: dict[tuple[str, Place], Samples] = {}
        self.marks = protocol.marks()
        self.datasets = list(protocol.datasets)
        self.seeds = [len({r.spec.seed for r in found}) for found in protocol.datasets.values()]
        self._fill(rounds)
        self.places = sorted({place for _, place in self.entries})
        self.banded = band and bool(self.chance) and self._stored(f"{metric}:pessimistic")
        self.missing = [
            name
            for name in (self.chance, f"{metric}:pessimistic", f"{metric}:optimistic")
            if self.chance and self.places and not self._stored(name)
        ]
        self.p: dict[tuple[str, Place], float] | None = None
        if evidence is not None:
            self.p = self._tested(evidence)
        self.any_test = any(map(math.isfinite, (self.p or {}).values()))

    def _tested(self, evidence: Evidence) -> dict[tuple[str, Place], float]:
        """Corrected p of the difference to the best, by rival and column; NaN where it was not tested."""
        found = {}
        for column in columns(self.protocol, evidence):
            position = self.datasets.index(column.dataset), DIRECTIONS.index(column.direction)
            place = Place(*position, column.bits, -1)
            best = column.best()
            found.update({(label, place): math.nan for label in column.scores if label != best})
            p = corrected(against_best(column, evidence))
            found.update({(label, place): value for label, value in p.items()})
        return found

    def _fill(self, rounds: Rounds) -> None:
        """A record without numbers gets a word in the columns that others of its kind have."""
        position = {name: i for i, name in enumerate(self.datasets)}
        seen: dict[tuple[int, int], dict[int, None]] = {}  # dataset, bits → rounds
        places = [(r, position[dataset_of(r)], () if r.word else rounds(r)) for r in self.protocol.records]
        for record, dataset, shown in places:
            known = seen.setdefault((dataset, record.spec.bits), {})
            known.update(dict.fromkeys(r.round if self.by_round else -1 for r in shown))
        for record, dataset, shown in places:
            for direction in record.spec.directions:
                for number in seen[dataset, record.spec.bits] or {-1: None}:
                    place = Place(dataset, DIRECTIONS.index(direction), record.spec.bits, number)
                    samples = self.entries.setdefault((record.spec.label, place), Samples())
                    samples.records.append(record)
                    for r in shown:
                        if number in (-1, r.round):
                            samples.rounds[record.spec.seed] = r

    def _stored(self, name: str) -> bool:
        return any(s.values(self._key(name, place)) for (_, place), s in self.entries.items())

    def _key(self, name: str, place: Place) -> str:
        return f"{name}/{DIRECTIONS[place.direction]}"

    def block(self) -> Block:
        references = self.protocol.references()
        rows = [self._row(label) for label in self.marks if label not in references]
        columns = [Column("method", align="left"), *map(self._column, self.places)]
        chance = [self._chance_row()] if self.chance and self._stored(self.chance) else []
        return Block(
            caption=(self._definition(bool(chance)), *self.protocol.caption()),
            columns=tuple(columns),
            rows=tuple(rows),
            foot=(*(self._row(label) for label in self.marks if label in references), *chance),
            notes=(*self._legend(), *self.protocol.notes(self.stale)),
        )

    def _definition(self, chance: bool) -> str:
        where = "chance in the last row" if chance else "chance level not stored"
        return f"{definition(self.metric)}, {self.when}; {where}"

    def _column(self, place: Place) -> Column:
        group = f"{self.datasets[place.dataset]} {DIRECTION_NAMES[DIRECTIONS[place.direction]]}"
        if self.by_round:
            name = "–" if place.round < 0 else str(place.round)
            return Column(name, group=f"{group} {place.bits} bits", align="left", better="higher")
        return Column(f"{place.bits} bits", group=group, align="left", better="higher")

    def _row(self, label: str) -> Row:
        name = Entry(label, extra=self.marks[label])
        return (name, *(self._cell(label, place) for place in self.places))

    def _cell(self, label: str, place: Place) -> Entry:
        samples = self.entries.get((label, place))
        if samples is None:
            return Entry()
        values = samples.values(self._key(self.metric, place))
        old = STALE if self._stale_reasons(samples) else ""
        if not values:
            return Entry(next((r.word for r in samples.records if r.word), "–"), extra=old)
        mean = statistics.fmean(values)
        spread = f" ±{short(statistics.stdev(values))}" if len(values) > 1 else ""
        count = f" (n={len(values)})" if len(values) < self.seeds[place.dataset] else ""
        extra = self._test(label, place) + old + spread + count
        return Entry(short(mean), mean, extra, self._band(samples, place))

    def _test(self, label: str, place: Place) -> str:
        """The mark of a rival that is not told from the best, or was not tested in a table of tests."""
        p = (self.p or {}).get((label, place))
        if p is None or not self.any_test:
            return ""
        return UNTESTED if math.isnan(p) else INDISTINCT if p >= LEVEL else ""

    def _band(self, samples: Samples, place: Place) -> str:
        low, high = (
            samples.values(self._key(f"{self.metric}:{x}", place)) for x in ("pessimistic", "optimistic")
        )
        if not (self.banded and low and high):
            return ""
        return f"[{short(statistics.fmean(low))}–{short(statistics.fmean(high))}]"

    def _chance_row(self) -> Row:
        """The means of the columns' chance levels, which no method has a part in."""
        found: dict[Place, list[float]] = {place: [] for place in self.places}
        for (_, place), samples in self.entries.items():
            found[place] += samples.values(self._key(self.chance, place))
        cells = [Entry(short(statistics.fmean(values))) if values else Entry() for values in found.values()]
        return (Entry("chance"), *cells)

    def _stale_reasons(self, samples: Samples) -> list[str]:
        if not self.stale:
            return []
        return [self.stale[r.spec.key] for r in samples.records if r.spec.key in self.stale]

    def _legend(self) -> Iterator[str]:
        entries = [(s, place) for (_, place), s in self.entries.items()]
        if any(len(s.rounds) > 1 for s, _ in entries):
            yield "± standard deviation over seeds"
        if any(0 < len(s.rounds) < self.seeds[place.dataset] for s, place in entries):
            yield "(n=…) fewer seeds than the table has"
        if self.banded:
            yield "[pessimistic–optimistic] the worst and the best order of tied items, mean over seeds"
        if self.p is not None:
            yield from self._test_notes(self.p)
        if self.missing:
            yield f"not stored, so not shown: {', '.join(self.missing)}; `bench rescore --metric …` adds it"

    def _test_notes(self, p: Mapping[tuple[str, Place], float]) -> Iterator[str]:
        if not self.any_test:
            yield "no test of the differences: it takes two methods that share two seeds"
            return
        yield f"{INDISTINCT} {INDISTINCT_NOTE}"
        if any(map(math.isnan, p.values())):
            yield f"{UNTESTED} not tested: it shares fewer than two seeds with the best of its column"

    def data(self) -> Iterator[Mapping[str, Any]]:
        for label in self.marks:
            for place in self.places:
                samples = self.entries.get((label, place))
                if samples is not None:
                    row = self._data_row(samples, place)
                    tested = {} if self.p is None else {"p_against_best": self.p.get((label, place))}
                    yield {**row, **tested}

    def _data_row(self, samples: Samples, place: Place) -> dict[str, Any]:
        direction: Direction = DIRECTIONS[place.direction]
        values = samples.values(self._key(self.metric, place))
        shown = next(iter(samples.rounds.values()), None)
        bounds = {
            bound: _mean(samples.values(self._key(f"{self.metric}:{bound}", place)))
            for bound in ("pessimistic", "optimistic")
        }
        return {
            **self.protocol.columns(samples.records[0]),
            "direction": direction,
            "round": shown.round if shown else None,
            "items": shown.items if shown else None,
            "shown": self.when,
            "metric": self.metric,
            "value": _mean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "n": len(values),
            "seeds": " ".join(map(str, sorted(samples.rounds))),
            **bounds,
            "chance": _mean(samples.values(self._key(self.chance, place))) if self.chance else None,
            "queries": shown.queries if shown else None,
            "empty_queries": shown.empty_queries.get(direction) if shown else None,
            "reason": _joined(f"{r.word}: {r.trouble}" for r in samples.records if r.word),
            "stale": _joined(self._stale_reasons(samples)),
        }


def _mean(values: Sequence[float]) -> float | None:
    mean = statistics.fmean(values) if values else math.nan
    return None if math.isnan(mean) else mean


def _joined(reasons: Any) -> str:
    return "; ".join(dict.fromkeys(reasons))
