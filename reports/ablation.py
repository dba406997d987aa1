"""What each part of a method is worth: its variants, and their paired differences to the full method."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import ParameterError
from bench.records import DIRECTIONS, Comparison, Direction, RunRecord
from bench.reports._grid import metric_title, short
from bench.reports._paired import MEANING, Arrays, interval, per_query
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
from bench.tables import Block, Cell, Column, Row, Table

_FULL = "full"


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    comparisons: Sequence[Comparison] = (),
    arrays: Arrays | None = None,
    stale: Stale | None = None,
) -> Table:
    """One block per protocol: the full method, then one row per comparison, as `bench ablate` makes them.

    Without comparisons every setting of a method is compared with the method without parameters.
    """
    if arrays is None:
        raise ParameterError(
            "report 'ablation' reads stored histograms, and no loader was given. Use it on a results folder."
        )
    comparisons = comparisons or _all_settings(records)
    by_key = {record.spec.key: record for record in records}
    full = dict.fromkeys(key for c in comparisons for key in c.pairs if key in by_key)
    if not full:
        raise ParameterError(
            "no cell here has a variant to be compared with. `bench ablate METHOD` runs a method and its "
            "variants and prints this table."
        )
    blocks, data = [], []
    for protocol in protocols([by_key[key] for key in full]):
        for label in protocol.marks():
            mine = [r for r in protocol.records if r.spec.label == label]
            part = _Part(protocol.pool, mine, comparisons, by_key, metric, arrays, stale or {})
            blocks.append(part.block())
            data += part.data()
    title = f"Ablation, {metric_title(metric)}"
    return Table(title=title, blocks=tuple(blocks), data=data)


def _all_settings(records: Sequence[RunRecord]) -> list[Comparison]:
    """Every setting of a method against the method as it is, in all cells that have both."""
    plain = {_but_params(r): r.spec.key for r in records if not r.spec.params}
    found: dict[str, dict[str, str]] = {}
    for record in records:
        full = plain.get(_but_params(record))
        if record.spec.params and full is not None:
            found.setdefault(record.spec.label, {})[full] = record.spec.key
    return [Comparison(name=label, isolates="", setting="", pairs=pairs) for label, pairs in found.items()]


def _but_params(record: RunRecord) -> tuple[Any, ...]:
    """What a cell and its variant have in common."""
    s = record.spec
    axes = (s.schedule, s.seed, s.database, s.pool, s.val, s.evaluate, s.labelled, s.paired, s.directions)
    return (s.method, dataset_of(record), s.bits, *axes)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a pair of columns is about."""

    dataset: str
    direction: Direction
    bits: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """The numbers of one row in one place; ``difference`` is of the seeds that both ran."""

    records: tuple[RunRecord, ...]
    values: tuple[float, ...]
    difference: float | None = None
    bounds: tuple[float, float] | None = None
    pairs: int = 0


class _Part:
    """The full method of one protocol, and what is compared with it."""

    def __init__(
        self,
        pool: str,
        full: Sequence[RunRecord],
        comparisons: Sequence[Comparison],
        by_key: Mapping[str, RunRecord],
        metric: str,
        arrays: Arrays,
        stale: Stale,
    ) -> None:
        self.metric, self.arrays, self.stale = metric, arrays, stale
        self.full = Protocol(pool=pool, records=tuple(full))
        keys = {r.spec.key for r in full}
        self.rows = [(c, _matched(c, by_key, keys)) for c in comparisons]
        self.rows = [(c, pairs) for c, pairs in self.rows if pairs]
        ran = dict.fromkeys(v.spec.key for _, pairs in self.rows for v in pairs.values())
        everything = {**{r.spec.key: r for r in full}, **{key: by_key[key] for key in ran}}
        self.all = Protocol(pool=pool, records=tuple(everything.values()))
        self.places = [
            _Place(dataset, direction, bits)
            for dataset, found in self.full.datasets.items()
            for direction in DIRECTIONS
            if direction in found[0].spec.directions
            for bits in sorted({r.spec.bits for r in found})
        ]
        self.entries = {
            (name, place): entry for place in self.places for name, entry in self._entries(place)
        }

    def _entries(self, place: _Place) -> Iterator[tuple[str, _Entry]]:
        here = [r for r in self.full.datasets[place.dataset] if r.spec.bits == place.bits]
        queries = {r.spec.key: self._per_query(r, place) for r in here if not word(r)}
        yield _FULL, _Entry(tuple(here), self._means(here, place))
        for comparison, pairs in self.rows:
            mine = [pairs[r.spec.key] for r in here if r.spec.key in pairs]
            both = [r for r in here if r.spec.key in queries and not word(pairs.get(r.spec.key, r))]
            both = [r for r in both if r.spec.key in pairs]
            gaps = [self._per_query(pairs[r.spec.key], place) - queries[r.spec.key] for r in both]
            values = self._means(mine, place)
            if not gaps:
                yield comparison.name, _Entry(tuple(mine), values)
                continue
            known = [gap[gap == gap] for gap in gaps]  # without the queries that have no value
            mean = statistics.fmean(value for gap in known for value in gap)
            yield comparison.name, _Entry(tuple(mine), values, mean, interval(gaps), len(gaps))

    def _per_query(self, record: RunRecord, place: _Place) -> Any:
        return per_query(record, self.metric, place.direction, self.arrays)

    def _means(self, records: Sequence[RunRecord], place: _Place) -> tuple[float, ...]:
        key = f"{self.metric}/{place.direction}"
        ran = [r for r in records if not word(r)]
        lacking = [r for r in ran if key not in r.rounds[-1].metrics]
        if lacking:
            raise ParameterError(
                f"no stored metric {self.metric!r} in {len(lacking)} of {len(ran)} cells "
                f"({lacking[0].spec}); run `bench rescore --metric {self.metric}`."
            )
        return tuple(r.rounds[-1].metrics[key] for r in ran)

    def block(self) -> Block:
        columns = [Column("variant", align="left"), Column("isolates", align="left")]
        for place in self.places:
            group = f"{place.dataset} {DIRECTION_NAMES[place.direction]} {place.bits} bits"
            columns.append(Column(metric_title(self.metric), group=group, align="left"))
            columns.append(Column("difference", group=group, align="left"))
        head = (f"{self.full.records[0].spec.label} and its variants; {MEANING}", *self.full.caption())
        names = [(_FULL, ""), *((c.name, c.isolates) for c, _ in self.rows)]
        return Block(
            caption=head,
            columns=tuple(columns),
            rows=tuple(self._row(name, isolates) for name, isolates in names),
            notes=tuple(self._notes()),
            stub=2,
        )

    def _row(self, name: str, isolates: str) -> Row:
        cells = [Cell(name), Cell(isolates)]
        for place in self.places:
            entry = self.entries[name, place]
            cells += [self._value(entry, place), self._difference(entry)]
        return tuple(cells)

    def _value(self, entry: _Entry, place: _Place) -> Cell:
        old = STALE if any(r.spec.key in self.stale for r in entry.records) else ""
        if not entry.values:
            return Cell(next((word(r) for r in entry.records if word(r)), "–"), extra=old)
        spread = f" ±{short(statistics.stdev(entry.values))}" if len(entry.values) > 1 else ""
        seeds = len({r.spec.seed for r in self.full.datasets[place.dataset]})
        count = f" (n={len(entry.values)})" if len(entry.values) < seeds else ""
        mean = statistics.fmean(entry.values)
        return Cell(short(mean), mean, old + spread + count)

    def _difference(self, entry: _Entry) -> Cell:
        if entry.difference is None:
            return Cell("–" if entry.records and entry.pairs else "")
        bounds = "" if entry.bounds is None else "[{}, {}]".format(*map(_signed, entry.bounds))
        return Cell(_signed(entry.difference), entry.difference, below=bounds)

    def _notes(self) -> Iterator[str]:
        if any(len(entry.values) > 1 for entry in self.entries.values()):
            yield "± standard deviation over seeds"
        if max(len(entry.values) for entry in self.entries.values()) == 1:
            yield "one seed: the intervals are over queries alone, and say nothing of another stream"
        for comparison, pairs in self.rows:
            if all(key == record.spec.key for key, record in pairs.items()):
                yield f"{comparison.name}: {comparison.setting or 'no change'}, which is the full method here"
            elif comparison.setting:
                yield f"{comparison.name}: {comparison.setting}"
        yield from self.all.notes(self.stale)

    def data(self) -> Iterator[dict[str, Any]]:
        settings = {c.name: (c.isolates, c.setting) for c, _ in self.rows}
        for (name, place), entry in self.entries.items():
            if not entry.records:
                continue
            isolates, setting = settings.get(name, ("", ""))
            low, high = entry.bounds or (None, None)
            yield {
                "variant": name,
                "isolates": isolates,
                "setting": setting,
                **self.all.columns(entry.records[0]),
                "direction": place.direction,
                "metric": self.metric,
                "value": statistics.fmean(entry.values) if entry.values else None,
                "sd": statistics.stdev(entry.values) if len(entry.values) > 1 else None,
                "n": len(entry.values),
                "difference": entry.difference,
                "low": low,
                "high": high,
                "pairs": entry.pairs,
                "reason": "; ".join(dict.fromkeys(trouble(r) for r in entry.records if word(r))),
            }


def _matched(
    comparison: Comparison, by_key: Mapping[str, RunRecord], full: set[str]
) -> dict[str, RunRecord]:
    """The variant of every full cell that has one here."""
    pairs = comparison.pairs.items()
    return {key: by_key[other] for key, other in pairs if key in full and other in by_key}


def _signed(value: float) -> str:
    """``+.012``: with its sign, and without the leading zero; a zero has none."""
    text = short(abs(value))
    return text if text == ".000" else f"{'-' if value < 0 else '+'}{text}"
