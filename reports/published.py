"""Published numbers beside ours, with a list of everything in which the two protocols differ."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Annotated, Any

from bench.reporting import (
    BREACH,
    DIRECTION_NAMES,
    STALE,
    Block,
    Column,
    Entry,
    ParameterError,
    Results,
    Row,
    RunRecord,
    Table,
    breaches,
    chance_level,
    dataset_of,
    grouped,
    kind_of,
    parse_metric,
)
from bench.reports._published import FUSED, MEAN, NOT_STATED, Published, load

_Names = tuple[str, ...]
_Place = tuple[str, int, str]  # direction, bits, rounds of a column
_PROTOCOL = (
    "data",
    "features",
    "queries",
    "items",
    "metric",
    "ties",
    "database",
    "rounds",
    "schedule",
    "noise",
)
_DIFFERS = "*"


@dataclass(frozen=True, slots=True)
class _Ours:
    """Our results for one published value."""

    records: tuple[RunRecord, ...]  # one per seed
    metric: str
    differences: tuple[str, ...]

    def value(self, direction: str) -> float:
        return statistics.fmean(_score(r, self.metric, direction) for r in self.records)


def render(
    results: Results,
    *,
    methods: Annotated[_Names, "show only numbers of these methods"] = (),
    datasets: Annotated[_Names, "show only numbers on these datasets"] = (),
    bits: Annotated[_Names, "show only numbers at these code lengths"] = (),
) -> Table:
    """One block per published table with numbers on the datasets of these results, or on all without results.

    Ours stands beside a published value of the same method, dataset, direction and bits: the mean
    over seeds after the last round, of those runs whose protocol differs in the fewest points.
    Parameters at their defaults come first. A star says that something differs, or cannot be shown
    to be the same.
    """
    studied = {r.spec.dataset for r in results}
    wanted = {"method": methods, "dataset": datasets, "bits": bits}
    every = load()
    if studied and not datasets:  # nuswide10 is a version of nuswide
        wanted["dataset"] = tuple(
            p.dataset for p in every if {p.dataset, p.dataset.rstrip("0123456789")} & studied
        )
        wanted["dataset"] = wanted["dataset"] or tuple(studied)
    chosen = [p for p in every if all(not w or str(getattr(p, name)) in w for name, w in wanted.items())]
    if not chosen:
        raise ParameterError(
            "no published number for these methods, datasets and bits. The datasets are "
            f"{', '.join(sorted({p.dataset for p in every}))}; filter less."
        )
    parts = (_Part(numbers, results) for numbers in grouped(chosen, lambda p: (p.file, p.table)).values())
    return Table.of("Published numbers", ((part.block(), part.data()) for part in parts))


class _Part:
    """The numbers of one published table, and ours."""

    def __init__(self, numbers: Sequence[Published], results: Results) -> None:
        self.numbers, self.records, self.stale = numbers, results.records, results.stale
        self.places = list(dict.fromkeys(_place(p) for p in numbers))
        self.rows: dict[tuple[str, str], dict[_Place, Published]] = {}
        for p in numbers:
            self.rows.setdefault((p.dataset, p.method), {})[_place(p)] = p
        beside = {row: _beside(places, self.records) for row, places in self.rows.items()}
        self.ours = {row: ours for row, ours in beside.items() if ours}
        self.digits = max(len(repr(p.value).partition(".")[2]) for p in numbers)

    def block(self) -> Block:
        stub = (Column("dataset", align="left"), Column("method", align="left"))
        rows: list[Row] = []
        for (dataset, method), row in self.rows.items():
            ours = self.ours.get((dataset, method), {})
            entries = (self._entry(row.get(place), ours.get(place)) for place in self.places)
            rows.append((Entry(dataset), Entry(method), *entries))
        return Block(
            caption=tuple(self._caption()),
            columns=(*stub, *(Column(_name(p), group=_direction(p[0]), align="left") for p in self.places)),
            rows=tuple(rows),
            notes=tuple(self._notes()),
            stub=2,
        )

    def _entry(self, theirs: Published | None, ours: _Ours | None) -> Entry:
        text = "" if theirs is None else self._short(theirs.value)
        if not self.ours:
            return Entry(text)
        if theirs is None or ours is None:
            return Entry(text, below="–")
        mark = (_DIFFERS if ours.differences else "") + (STALE if self._reasons(ours) else "")
        mark += BREACH if any(record.breach for record in ours.records) else ""
        return Entry(text, below=self._short(ours.value(theirs.direction)) + mark)

    def _short(self, value: float) -> str:
        """As many decimals as the published table has, and no leading zero."""
        return f"{value:.{self.digits}f}".removeprefix("0")

    def _reasons(self, ours: _Ours) -> list[str]:
        return [self.stale[r.spec.key] for r in ours.records if r.spec.key in self.stale]

    def _caption(self) -> Iterator[str]:
        """The source; what holds for all its numbers; what holds for those of one dataset."""
        first = self.numbers[0]
        yield f"{first.paper}, {first.table}"
        yield f"read: {first.read} ({first.where})"
        by_round = first.rounds.startswith("round ")
        points = {name: {_point(p, name) for p in self.numbers} for name in _PROTOCOL}
        shared = [n for n in _PROTOCOL if len(points[n]) == 1 and n not in ("data", "features")]
        own = [n for n in _PROTOCOL if n not in shared and not (n == "rounds" and by_round)]
        yield "; ".join([*(text for n in shared for text in points[n] if text), "chance level not recorded"])
        for dataset, numbers in groupby(self.numbers, key=lambda p: p.dataset):
            p = next(numbers)
            name = f"{dataset} (assumed)" if "dataset" in p.assumed else dataset
            yield f"{name}: " + "; ".join(text for n in own if (text := _point(p, n)))

    def _notes(self) -> Iterator[str]:
        yield from dict.fromkeys(p.note for p in self.numbers if p.note)
        if any(p.assumed for p in self.numbers):
            yield "(assumed): not in the source"
        unscored = dict.fromkeys(_without_order(p.metric) for p in self.numbers if self._unscored(p))
        if unscored:
            yield f"ours not stored: {', '.join(unscored)}; `bench rescore --metric …` adds it"
        if self.ours:
            yield from self._comparison()
        else:
            names = ", ".join(dict.fromkeys(p.dataset for p in self.numbers))
            yield f"no results of ours to compare: no stored number of these methods on {names}"

    def _unscored(self, p: Published) -> bool:
        """Whether we ran it, but did not score it with that metric."""
        return _place(p) not in self.ours.get((p.dataset, p.method), {}) and any(
            r.spec.bits == p.bits and p.direction in r.spec.directions for r in _runs(p, self.records)
        )

    def _comparison(self) -> Iterator[str]:
        yield (
            "below each: ours, after the last round, mean over seeds; "
            f"{_DIFFERS} the protocol differs, or cannot be shown to be the same"
        )
        every = [(name, ours) for name, row in self.ours.items() for ours in row.values()]
        scored = grouped(every, lambda pair: (pair[0][0], pair[1].metric))
        for (dataset, metric), pairs in scored.items():
            last = [r.rounds[-1] for _, ours in pairs for r in ours.records]
            yield f"ours on {dataset}, {metric}: {chance_level(metric, last)}"
        for text, pairs in grouped(every, lambda pair: "; ".join(pair[1].differences)).items():
            if text:
                names = dict.fromkeys(f"{method} on {dataset}" for (dataset, method), _ in pairs)
                yield f"{_DIFFERS} {', '.join(names)}: {text}"
        reasons = dict.fromkeys(text for _, ours in every for text in self._reasons(ours))
        if reasons:
            yield f"{STALE} stale: {'; '.join(reasons)}"
        yield from breaches(record for _, ours in every for record in ours.records)

    def data(self) -> Iterator[Mapping[str, Any]]:
        for p in self.numbers:
            ours = self.ours.get((p.dataset, p.method), {}).get(_place(p))
            row = {**asdict(p), "assumed": " ".join(p.assumed)}
            names = ("value", "metric", "method", "dataset", "database", "schedule", "n", "differs", "stale")
            values = [None] * len(names) if ours is None else self._our_values(p, ours)
            yield row | {f"ours_{name}": value for name, value in zip(names, values, strict=True)}

    def _our_values(self, p: Published, ours: _Ours) -> list[Any]:
        record, stale = ours.records[0], "; ".join(dict.fromkeys(self._reasons(ours)))
        run = (record.spec.label, dataset_of(record), record.spec.database, str(record.spec.schedule))
        differs = "; ".join(ours.differences)
        return [ours.value(p.direction), ours.metric, *run, len(ours.records), differs, stale]


def _place(p: Published) -> _Place:
    return p.direction, p.bits, p.rounds


def _direction(name: str) -> str:
    return {**DIRECTION_NAMES, FUSED: "image and text", MEAN: "mean of both directions"}[name]


def _name(place: _Place) -> str:
    _, bits, rounds = place
    length = f"{bits} bits" if bits else "bits n/a"
    return rounds if rounds.startswith("round ") else length


def _point(p: Published, name: str) -> str:
    """One point of the protocol as text, or "" where it is not stated."""
    value = getattr(p, name)
    if value in ("", None):
        return ""
    text = {"data": f"{value}", "queries": f"{value} queries", "items": f"{value} items in the database"}
    return text.get(name, f"{name} {value}") + (" (assumed)" if name in p.assumed else "")


def _runs(p: Published, records: Sequence[RunRecord]) -> Iterator[RunRecord]:
    """The runs of the method on the dataset that have numbers for the test queries."""
    for r in records:
        if (r.spec.method, r.spec.dataset) == (p.method, p.dataset) and not r.word and not r.spec.val:
            yield r


def _beside(row: Mapping[_Place, Published], records: Sequence[RunRecord]) -> dict[_Place, _Ours]:
    """Ours for the values of one row, all from runs of one protocol: the one that differs least."""

    def protocol(record: RunRecord) -> tuple[Any, ...]:
        s = record.spec
        return (s.label, dataset_of(record), s.database, s.schedule, s.pool, record.data)

    groups = grouped(_runs(next(iter(row.values())), records), protocol)
    candidates = [filled for group in groups.values() if (filled := _filled(row, group))]

    def distance(filled: dict[_Place, _Ours]) -> tuple[int, int]:
        one = next(iter(filled.values()))
        return len(one.differences), len(one.records[0].spec.params)

    return min(candidates, key=distance, default={})


def _filled(row: Mapping[_Place, Published], group: Sequence[RunRecord]) -> dict[_Place, _Ours]:
    """Ours for the values of one row, from runs of one protocol."""
    filled: dict[_Place, _Ours] = {}
    for place, p in row.items():
        for metric in dict.fromkeys((p.metric, _without_order(p.metric))):
            same = {
                r.spec.seed: r
                for r in group
                if r.spec.bits == p.bits and math.isfinite(_score(r, metric, p.direction))
            }
            if same:
                differences = tuple(_differences(p, next(iter(same.values())), metric))
                filled[place] = _Ours(tuple(same.values()), metric, differences)
                break
    return filled


def _score(record: RunRecord, metric: str, direction: str) -> float:
    """Our score after the last round; nan where it is not stored."""
    directions = ("i2t", "t2i") if direction == MEAN else (direction,)
    scores = record.rounds[-1].metrics
    return statistics.fmean(scores.get(f"{metric}/{name}", math.nan) for name in directions)


def _without_order(metric: str) -> str:
    """The metric of ours that a family's code would compute if ties had no order.

    >>> _without_order("map:dcmh"), _without_order("map@50:lemon")
    ('map', 'map@50:hits')
    """
    plain, _, variant = metric.partition(":")
    return f"{plain}:hits" if "@" in plain and variant in ("lemon", "hits") else plain


def _differences(p: Published, ours: RunRecord, metric: str) -> Iterator[str]:
    """Every point in which the protocols differ, or in which they cannot be compared."""
    spec, last = ours.spec, ours.rounds[-1]
    by_order = parse_metric(metric).ordered
    if metric != p.metric or not by_order or p.ties != "stored order":
        order = "in stored order" if by_order else "expected over their orders"
        yield f"metric {p.metric}, ties {p.ties}; ours {metric}, ties {order}"
    if p.database != spec.database:
        yield f"database {p.database}; ours {spec.database}"
    if p.rounds != "last":
        yield f"rounds {p.rounds}; ours last"
    if p.schedule != str(spec.schedule):
        yield f"schedule {p.schedule}; ours {spec.schedule}"
    if (p.noise or "none") != str(spec.noise):
        yield f"noise {p.noise or 'none'}; ours {spec.noise}"
    for name, theirs, here in (("queries", p.queries, last.queries), ("items", p.items, last.items)):
        if theirs != here:
            yield f"{name} {NOT_STATED if theirs is None else theirs}; ours {here}"
    yield f"features {p.features}; ours not in a record of {dataset_of(ours)}"
    if spec.params:
        yield f"ours with parameters: {spec.selectors[0]}"
    if spec.sees_future:
        yield "ours saw the future (pool full)"
    if kind_of(ours.fidelity) in ("modified", "reconstruction", "adaptation"):
        yield f"ours: {ours.fidelity}"
