"""One metric, methods in rows, datasets, directions and bits in columns; means over seeds."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Annotated, Any, TypeVar

from bench.reporting import (
    DIRECTION_NAMES,
    DIRECTIONS,
    LEAST_SEEDS,
    LEVEL,
    Block,
    Column,
    Direction,
    Entry,
    Protocol,
    Results,
    RoundRecord,
    Row,
    RunRecord,
    chance_name,
    check_metric,
    dataset_of,
    definition,
    metric_title,
    protocols,
    short,
)
from bench.reports._scores import against_best, columns, corrected, detectable, power_line

INDISTINCT, UNTESTED = "≈", "?"
_LEGEND = {
    INDISTINCT: "not significantly different from the best of its column: the larger p of a paired "
    "randomisation test over queries (mean over seeds) and a paired t-test over seeds, Holm-corrected in the "
    "column, is .05 or more",
    UNTESTED: f"not tested: it shares fewer than {LEAST_SEEDS} seeds with the best of its column",
}
Band = Annotated[bool, "show the worst and best order of tied items, and trained less unseen items"]
Average = Annotated[bool, "add the mean over directions and code lengths, for every dataset"]
T = TypeVar("T")
Rounds = Callable[[RunRecord], Sequence[RoundRecord]]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A column of numbers. ``round`` is -1 where only the last one is shown."""

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
        """One for every seed; NaN where none of its queries has a relevant item."""
        return [r.metrics[key] for r in self.rounds.values() if key in r.metrics]

    def gap(self, key: str) -> float | None:
        """Trained less unseen items, mean over seeds; None where the rounds do not show unseen items."""
        pairs = [
            (r.parts["trained"].metrics, r.metrics) for r in self.rounds.values() if "trained" in r.parts
        ]
        known = [trained[key] - shown[key] for trained, shown in pairs if key in trained and key in shown]
        return statistics.fmean(known) if known and self.records[0].part == "unseen" else None


class Grid:
    """The entries of one protocol.

    ``rounds`` chooses the rounds of a record that are shown, and ``when`` describes them; ``by_round``
    gives every round a column. With ``significance``, entries that do not differ significantly from the
    best of their column are marked.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        metric: str,
        band: bool,
        rounds: Rounds = lambda record: record.rounds[-1:],
        when: str = "after the last round",
        by_round: bool = False,
        significance: bool = False,
        average: bool = False,
    ) -> None:
        self.protocol, self.metric = protocol, metric
        self.band = band
        self.when, self.by_round = when, by_round
        self.chance = chance_name(metric)  # stored, as the bounds are, for map and map@R alone
        self.entries: dict[tuple[str, Place], Samples] = {}
        self.datasets = list(protocol.datasets)
        self.seeds = [len({r.spec.seed for r in records}) for records in protocol.datasets.values()]
        self._fill(rounds)
        self.places = sorted({place for _, place in self.entries})
        self.average = average
        self.banded = band and bool(self.chance) and self._stored(f"{metric}:pessimistic")
        self.missing = [
            name
            for name in (self.chance, f"{metric}:pessimistic", f"{metric}:optimistic")
            if self.chance and self.places and not self._stored(name)
        ]
        self.least: dict[tuple[str, Place], float] = {}  # detectable differences, where there is a test
        self.p = self._tested() if significance else None

    def _tested(self) -> dict[tuple[str, Place], float]:
        """Corrected p of the difference to the best, by rival and column; NaN where it was not tested."""
        tests = {}
        for column in columns(self.protocol):
            position = self.datasets.index(column.dataset), DIRECTIONS.index(column.direction)
            place = Place(*position, column.bits, -1)
            best = column.best()
            tests.update({(label, place): math.nan for label in column.scores if label != best})
            comparisons = against_best(column, self.protocol.results.evidence)
            p = corrected(comparisons)
            tests.update({(label, place): value for label, value in p.items()})
            self.least |= {(label, place): d for label, d in detectable(comparisons, p).items()}
        return tests

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
        references = self.protocol.references
        rows = {label: self._row(label) for label in self.protocol.marks}
        below = [row for label, row in rows.items() if label in references]
        chance = bool(self.chance) and self._stored(self.chance)
        level = "chance in the last row" if chance else "chance level not stored"
        tests = [] if self.p is None else [power_line(self.least.values())]
        return Block(
            caption=(f"{definition(self.metric)}, {self.when}; {level}", *tests, *self.protocol.caption()),
            columns=(Column("method", align="left"), *self._columns()),
            rows=tuple(row for label, row in rows.items() if label not in references),
            foot=(*below, self._chance_row()) if chance else tuple(below),
            notes=(*self._legend(), *self.protocol.notes()),
            brief=f"{metric_title(self.metric)} {'by round ' if self.by_round else ''}{_on(self.datasets)}",
            protocol=self.protocol.slug,
        )

    def _with_means(self, cells: Mapping[Place, T], mean: Callable[[list[Place]], T]) -> Iterator[T]:
        """The cells of a row, or its columns, with the mean after those of a dataset that has several.

        Where every round has a column, it is the mean over the rounds of a direction and code length.
        """
        for _, group in groupby(self.places, self._stream if self.by_round else lambda place: place.dataset):
            places = list(group)
            yield from (cells[place] for place in places)
            if (self.average or self.by_round) and len(places) > 1:
                yield mean(places)

    @staticmethod
    def _stream(place: Place) -> tuple[int, int, int]:
        """All of a place but its round."""
        return place.dataset, place.direction, place.bits

    def _row_mean(self, label: str, places: Sequence[Place]) -> Entry:
        """The mean of the entries of a row at these places; none where one is missing."""
        mean = self._mean_over(label, places)
        samples = (self.entries.get((label, place)) for place in places)
        records = [r for s in samples if s for r in s.records]
        if mean is None:
            word = next((r.word for r in records if r.word), "")
            return Entry(word) if word and self.by_round else Entry()
        return Entry(short(mean), None if any(r.constant for r in records) else mean)

    def _mean_over(self, label: str, places: Sequence[Place]) -> float | None:
        """The mean at these places; a round in which no query has a relevant item is left out of it."""
        samples = [self.entries.get((label, place)) for place in places]
        values = [
            s.values(self._key(self.metric, p)) if s else [] for s, p in zip(samples, places, strict=True)
        ]
        if not all(values):
            return None
        means = [_mean(v) if self.by_round else statistics.fmean(v) for v in values]
        known = [mean for mean in means if mean is not None]
        return statistics.fmean(known) if known else None

    def _columns(self) -> Iterator[Column]:
        mean = Column("mean", align="left", better="higher")
        columns = {place: self._column(place) for place in self.places}
        return self._with_means(
            columns, lambda places: replace(columns[places[0]], name="area") if self.by_round else mean
        )

    def _column(self, place: Place) -> Column:
        group = f"{self.datasets[place.dataset]} {DIRECTION_NAMES[DIRECTIONS[place.direction]]}"
        if self.by_round:
            name = "–" if place.round < 0 else str(place.round)
            return Column(name, group=f"{group} {place.bits} bits", align="left", better="higher")
        return Column(f"{place.bits} bits", group=group, align="left", better="higher")

    def _row(self, label: str) -> Row:
        name = Entry(label, extra=self.protocol.marks[label])
        cells = {place: self._entry(label, place) for place in self.places}
        return (name, *self._with_means(cells, partial(self._row_mean, label)))

    def _entry(self, label: str, place: Place) -> Entry:
        samples = self.entries.get((label, place))
        if samples is None:
            return Entry()
        return self.protocol.entry(
            samples.records,
            samples.values(self._key(self.metric, place)),
            self.seeds[place.dataset],
            mark=self._test(label, place),
            below=self._below(samples, place),
        )

    def _test(self, label: str, place: Place) -> str:
        """The mark of a rival that does not differ from the best, or was not tested."""
        p = (self.p or {}).get((label, place))
        if p is None or not self.least:
            return ""
        return UNTESTED if math.isnan(p) else INDISTINCT if p >= LEVEL else ""

    def _below(self, samples: Samples, place: Place) -> str:
        """The band of tied items, and how much higher trained items score."""
        gap = samples.gap(self._key(self.metric, place)) if self.band else None
        return " ".join(
            filter(None, (self._band(samples, place), "" if gap is None else short(gap, signed=True)))
        )

    def _band(self, samples: Samples, place: Place) -> str:
        low, high = (
            samples.values(self._key(f"{self.metric}:{x}", place)) for x in ("pessimistic", "optimistic")
        )
        if not (self.banded and low and high):
            return ""
        return f"[{short(statistics.fmean(low))}–{short(statistics.fmean(high))}]"

    def _chance_row(self) -> Row:
        """The means of the columns' chance levels, which belong to no method."""
        levels: dict[Place, list[float]] = {place: [] for place in self.places}
        for (_, place), samples in self.entries.items():
            levels[place] += samples.values(self._key(self.chance, place))
        means = {p: statistics.fmean(values) if values else math.nan for p, values in levels.items()}

        def over(places: list[Place]) -> float:
            known = [means[p] for p in places if not (self.by_round and math.isnan(means[p]))]
            return statistics.fmean(known) if known else math.nan

        row = self._with_means(means, over)
        return (Entry("chance"), *(Entry() if math.isnan(mean) else Entry(short(mean)) for mean in row))

    def _legend(self) -> Iterator[str]:
        entries = [(s, place) for (_, place), s in self.entries.items()]
        if any(len(s.rounds) > 1 for s, _ in entries):
            yield "± standard deviation over seeds"
        if any(0 < len(s.rounds) < self.seeds[place.dataset] for s, place in entries):
            yield "(n=…) fewer seeds than the table has"
        if self.by_round and len(self.places) > len({self._stream(place) for place in self.places}):
            yield "area: the area under the stream, the mean over the evaluated rounds; each counts the same"
        if self.banded:
            yield "[pessimistic–optimistic] the worst and the best order of tied items, mean over seeds"
        if self.band and any(s.gap(self._key(self.metric, place)) is not None for s, place in entries):
            yield "+ or − in the second line: how much higher or lower trained items score, mean over seeds"
        if self.p is not None and self.least:
            untested = any(map(math.isnan, self.p.values()))
            yield from (f"{mark} {text}" for mark, text in _LEGEND.items() if mark != UNTESTED or untested)
        if self.missing:
            yield f"not stored, so not shown: {', '.join(self.missing)}; `bench rescore --metric …` adds it"

    def data(self) -> Iterator[Mapping[str, Any]]:
        for label in self.protocol.marks:
            for place in self.places:
                samples = self.entries.get((label, place))
                if samples is not None:
                    row, here = self._data_row(samples, place), (label, place)
                    if self.by_round:
                        rounds = [p for p in self.places if self._stream(p) == self._stream(place)]
                        row |= {"area": self._mean_over(label, rounds)}
                    if self.p is not None:
                        row |= {"p_against_best": self.p.get(here), "detectable": self.least.get(here)}
                    yield row

    def _data_row(self, samples: Samples, place: Place) -> dict[str, Any]:
        direction: Direction = DIRECTIONS[place.direction]
        values = samples.values(self._key(self.metric, place))
        known = [value for value in values if not math.isnan(value)]
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
            "sd": statistics.stdev(known) if len(known) > 1 else None,
            "n": len(known),
            "seeds": " ".join(map(str, sorted(samples.rounds))),
            **bounds,
            "trained_minus_shown": samples.gap(self._key(self.metric, place)),
            "chance": _mean(samples.values(self._key(self.chance, place))) if self.chance else None,
            "queries": shown.queries if shown else None,
            "empty_queries": shown.empty_queries.get(direction) if shown else None,
            **self.protocol.outcome(samples.records),
        }


def grids(results: Results, *, metric: str, **options: Any) -> list[Grid]:
    """The entries of every protocol; the options are those of :class:`Grid`."""
    check_metric(results, metric)
    return [Grid(protocol, metric=metric, **options) for protocol in protocols(results)]


def numbered(parts: Sequence[Grid]) -> Iterator[tuple[Block, Iterator[Mapping[str, Any]]]]:
    """Grids as the parts of one table, whose plain numbers have the number of their block."""
    for i, grid in enumerate(parts):
        yield grid.block(), ({"block": i, **row} for row in grid.data())


def _on(datasets: Sequence[str]) -> str:
    """``on wiki, fashion and roco``, or ``on 12 datasets``."""
    *head, last = datasets
    text = f"{', '.join(head)} and {last}" if head else last
    return f"on {text}" if len(text) <= 60 else f"on {len(datasets)} datasets"


def _mean(values: Sequence[float]) -> float | None:
    """The mean of the values that are known; None without one."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else None
