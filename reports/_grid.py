"""One metric, methods in rows, datasets, directions and bits in columns; means over seeds."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError, ParameterError
from bench.evidence import Evidence
from bench.records import DIRECTIONS, Direction, RoundRecord, RunRecord
from bench.reports._protocol import (
    DIRECTION_NAMES,
    STALE,
    Protocol,
    Stale,
    dataset_of,
    protocols,
    trouble,
    word,
)
from bench.reports._scores import against_best, columns, corrected, indistinct
from bench.tables import Block, Cell, Column, Row, Table

INDISTINCT = "≈"
INDISTINCT_NOTE = (
    "not told from the best of its column: the larger p of a paired randomisation test over queries (mean "
    "over seeds) and a paired t-test over seeds, Holm-corrected in the column, is .05 or more"
)
_NAMES = {"map": "mAP", "precision": "P", "recall": "R", "ndcg": "NDCG", "chance": "chance level"}
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
    _check_metric(records, metric)
    return [Grid(p, metric=metric, **options) for p in protocols(records)]


def joined(title: str, parts: Sequence[Grid]) -> Table:
    """Grids as the blocks of one table."""
    data = [{"block": i, **row} for i, grid in enumerate(parts) for row in grid.data()]
    return Table(title=title, blocks=tuple(grid.block() for grid in parts), data=data)


def last_round(record: RunRecord) -> Sequence[RoundRecord]:
    return record.rounds[-1:]


def metric_title(name: str) -> str:
    """A metric as it is printed.

    >>> [metric_title(name) for name in ("map", "map@50:hits", "precision@r2")]
    ['mAP', 'mAP@50:hits', 'P@radius≤2']
    """
    base, rest = re.fullmatch("([^@:]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return _NAMES.get(base, base) + re.sub("^@r(?=[0-9])", "@radius≤", rest)


def _description(name: str) -> str:
    """How a metric is defined, if it is one of ours; a stored one may be a plugin's."""
    from bench.metrics import parse_metric

    try:
        return f" ({parse_metric(name).description})"
    except BenchError:
        return ""


def _check_metric(records: Sequence[RunRecord], metric: str) -> None:
    def lacks(record: RunRecord) -> bool:
        return (
            not record.reference
            and any(  # a radius in bits says nothing of real-valued vectors
                f"{metric}/{d}" not in r.metrics for r in record.rounds[-1:] for d in record.spec.directions
            )
        )

    lacking = [r for r in records if lacks(r)]
    if lacking:
        raise ParameterError(
            f"no stored metric {metric!r} in {len(lacking)} of {len(records)} cells ({lacking[0].spec}); "
            f"run `bench rescore --metric {metric}`."
        )


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
        # Bounds and the chance level are stored for map and map@R; other names have none.
        plain = re.fullmatch("map(@[0-9]+)?", metric)
        self.chance = "chance" + (plain[1] or "") if plain else ""
        self.entries: dict[tuple[str, Place], Samples] = {}
        self.marks = protocol.marks()
        self.datasets = list(protocol.datasets)
        self.seeds = [len({r.spec.seed for r in found}) for found in protocol.datasets.values()]
        self._fill(rounds)
        self.places = sorted({place for _, place in self.entries})
        self.banded = band and bool(plain) and self._stored(f"{metric}:pessimistic")
        self.missing = [
            name
            for name in (self.chance, f"{metric}:pessimistic", f"{metric}:optimistic")
            if plain and self.places and not self._stored(name)
        ]
        self.p: dict[tuple[str, Place], float] | None = None
        if evidence is not None:
            self.p = self._tested(evidence)

    def _tested(self, evidence: Evidence) -> dict[tuple[str, Place], float]:
        """Corrected p of the difference to the best, by method and column."""
        found = {}
        for column in columns(self.protocol, evidence):
            position = self.datasets.index(column.dataset), DIRECTIONS.index(column.direction)
            place = Place(*position, column.bits, -1)
            p = corrected(against_best(column, evidence))
            found.update({(label, place): value for label, value in p.items()})
        return found

    def _fill(self, rounds: Rounds) -> None:
        """A record without numbers gets a word in the columns that others of its kind have."""
        position = {name: i for i, name in enumerate(self.datasets)}
        seen: dict[tuple[int, int], dict[int, None]] = {}  # dataset, bits → rounds
        places = [(r, position[dataset_of(r)], () if word(r) else rounds(r)) for r in self.protocol.records]
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
        text = metric_title(self.metric)
        if self.metric == "map":
            text += " over all database items, tie-aware (expected over the orders of tied items)"
        else:
            text += _description(self.metric)
        return f"{text}, {self.when}" + ("; chance in the last row" if chance else "")

    def _column(self, place: Place) -> Column:
        group = f"{self.datasets[place.dataset]} {DIRECTION_NAMES[DIRECTIONS[place.direction]]}"
        if self.by_round:
            name = "–" if place.round < 0 else str(place.round)
            return Column(name, group=f"{group} {place.bits} bits", align="left", better="higher")
        return Column(f"{place.bits} bits", group=group, align="left", better="higher")

    def _row(self, label: str) -> Row:
        name = Cell(label, extra=self.marks[label])
        return (name, *(self._cell(label, place) for place in self.places))

    def _cell(self, label: str, place: Place) -> Cell:
        samples = self.entries.get((label, place))
        if samples is None:
            return Cell()
        values = samples.values(self._key(self.metric, place))
        old = STALE if self._stale_reasons(samples) else ""
        if not values:
            return Cell(next((word(r) for r in samples.records if word(r)), "–"), extra=old)
        mean = statistics.fmean(values)
        spread = f" ±{_short(statistics.stdev(values))}" if len(values) > 1 else ""
        count = f" (n={len(values)})" if len(values) < self.seeds[place.dataset] else ""
        near = INDISTINCT if indistinct({"": (self.p or {}).get((label, place), math.nan)}) else ""
        return Cell(_short(mean), mean, near + old + spread + count, self._band(samples, place))

    def _band(self, samples: Samples, place: Place) -> str:
        low, high = (
            samples.values(self._key(f"{self.metric}:{x}", place)) for x in ("pessimistic", "optimistic")
        )
        if not (self.banded and low and high):
            return ""
        return f"[{_short(statistics.fmean(low))}–{_short(statistics.fmean(high))}]"

    def _chance_row(self) -> Row:
        """The means of the columns' chance levels, which no method has a part in."""
        found: dict[Place, list[float]] = {place: [] for place in self.places}
        for (_, place), samples in self.entries.items():
            found[place] += samples.values(self._key(self.chance, place))
        cells = [Cell(_short(statistics.fmean(values))) if values else Cell() for values in found.values()]
        return (Cell("chance"), *cells)

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
            yield self._test_note(self.p)
        if self.missing:
            yield f"not stored, so not shown: {', '.join(self.missing)}; `bench rescore --metric …` adds it"

    def _test_note(self, p: Mapping[tuple[str, Place], float]) -> str:
        if any(math.isfinite(value) for value in p.values()):
            return f"{INDISTINCT} {INDISTINCT_NOTE}"
        return "no test of the differences: it takes two methods that share two seeds"

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
            "reason": _joined(f"{word(r)}: {trouble(r)}" for r in samples.records if word(r)),
            "stale": _joined(self._stale_reasons(samples)),
        }


def _mean(values: Sequence[float]) -> float | None:
    mean = statistics.fmean(values) if values else math.nan
    return None if math.isnan(mean) else mean


def _joined(reasons: Any) -> str:
    return "; ".join(dict.fromkeys(reasons))


def _short(value: float) -> str:
    """Three decimals without the leading zero: ``.712``, ``1.000``."""
    if math.isnan(value):
        return "n/a"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text
