"""Ablation: a method, its variants, and their paired differences to the full method."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.records import SINCE
from bench.reporting import (
    CONFIDENCE,
    DIRECTION_NAMES,
    DIRECTIONS,
    FUTURE,
    LEVEL,
    Block,
    Column,
    Comparison,
    Contrast,
    Direction,
    Entry,
    ParameterError,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    dataset_of,
    definition,
    protocols,
    reasons,
    short,
)
from bench.reports._axes import under_one_name
from bench.reports._scores import Compared, against, corrected, detectable, power_line

_FULL = "full"
_CAPTION = (
    f"{definition('map')}, after the last round, mean over seeds",
    "difference: to the full method, paired by query and seed",
    f"in brackets: its {CONFIDENCE:.0%} bootstrap interval over queries and seeds",
)
_STARS = (
    f"* significant at {LEVEL:g} in both the randomisation test over queries and the t-test over seeds, "
    "Holm-corrected over the variants of a column"
)
_ONE_SEED = "one seed: the intervals are over queries alone and say nothing about other runs"
_NUMBERS = ("difference", "low", "high", "p_queries", "p_seeds", "wins", "ties", "losses")


def render(results: Results) -> Table:
    """One block per protocol: the full method, then one row per contrast, as `bench ablate` makes them.

    Without contrasts, every setting of a method is compared with the method without parameters.
    """
    by_key = {record.spec.key: record for record in results}
    contrasts = [_present(c, by_key) for c in results.contrasts or _settings(results)]
    full = dict.fromkeys(key for c in contrasts for key in c.pairs)
    if not full:
        raise ParameterError(
            "no cell has a variant to compare with. `bench ablate METHOD` runs a method with its variants, "
            "and prints this table."
        )
    results.evidence.prepare(results)
    parts = [
        _Part(protocol.part(r for r in protocol.records if r.spec.label == label), contrasts, by_key)
        for protocol in protocols(results.but(records=[by_key[key] for key in full]))
        for label in protocol.marks
    ]
    return Table.of("Ablation", ((part.block(), part.data()) for part in parts))


def _present(contrast: Contrast, by_key: Mapping[str, RunRecord]) -> Contrast:
    """The pairs of which both cells are here."""
    pairs = {full: other for full, other in contrast.pairs.items() if full in by_key and other in by_key}
    return replace(contrast, pairs=pairs)


def _changes_nothing(contrast: Contrast) -> bool:
    """Whether the variant is the full method itself, in all its cells."""
    return all(full == other for full, other in contrast.pairs.items())


def _settings(results: Results) -> list[Contrast]:
    """Every setting of a method against the method as it is, in all cells that have both."""

    def place(record: RunRecord) -> tuple[Any, ...]:
        s = record.spec
        axes = (s.schedule, s.seed, s.database, s.pool, s.val, s.evaluate, s.directions)
        newer = (getattr(s, name) for name in SINCE)
        return (s.method, dataset_of(record), s.bits, *axes, *newer)

    plain = {place(r): r.spec.key for r in results if not r.spec.params}
    pairs: dict[str, dict[str, str]] = {}
    for record in results:
        full = plain.get(place(record))
        if record.spec.params and full is not None:
            pairs.setdefault(record.spec.label, {})[full] = record.spec.key
    return [Contrast(name=label, isolates="", setting="", pairs=mine) for label, mine in pairs.items()]


class _Part:
    """The full method of one protocol, and the cells that are compared with it."""

    def __init__(
        self, full: Protocol, contrasts: Sequence[Contrast], by_key: Mapping[str, RunRecord]
    ) -> None:
        self.full = full
        keys = {r.spec.key for r in full.records}
        self.contrasts = [c for c in contrasts if keys & c.pairs.keys()]
        variants = {c.name: {k: by_key[v] for k, v in c.pairs.items() if k in keys} for c in self.contrasts}
        self.rows = {_FULL: {r.spec.key: r for r in full.records}, **variants}
        self.columns = [self._column(*place) for place in self._places()]
        self.against = [against(column, _FULL) if _FULL in column.scores else {} for column in self.columns]
        same = {c.name for c in self.contrasts if _changes_nothing(c)}  # no hypothesis to correct for
        self.p = [
            corrected({name: c for name, c in comparisons.items() if name not in same})
            for comparisons in self.against
        ]

    def _places(self) -> Iterator[tuple[str, Direction, int]]:
        for dataset, records in self.full.datasets.items():
            for direction in DIRECTIONS:
                if direction in records[0].spec.directions:
                    yield from ((dataset, direction, b) for b in sorted({r.spec.bits for r in records}))

    def _column(self, dataset: str, direction: Direction, bits: int) -> Compared:
        here = [r for r in self.full.datasets[dataset] if r.spec.bits == bits]
        search = self.full.results.evidence.search
        scores: dict[str, dict[int, Any]] = {}
        for name, row in self.rows.items():
            ran = [row[r.spec.key] for r in here if r.spec.key in row and not row[r.spec.key].word]
            if ran:
                scores[name] = {r.spec.seed: search(r, direction).scores for r in ran}
        return Compared(dataset, direction, bits, scores)

    def records(self, name: str, column: Compared) -> list[RunRecord]:
        """The cells of a row in a column, whether they ran or not."""
        return [
            self.rows[name][r.spec.key]
            for r in self.full.datasets[column.dataset]
            if r.spec.bits == column.bits and r.spec.key in self.rows[name]
        ]

    def block(self) -> Block:
        labels = ("code", "isolates") if any(c.code for c in self.contrasts) else ("isolates",)
        heads = [Column(name, align="left") for name in ("variant", *labels)]
        for c in self.columns:
            group = f"{c.dataset} {DIRECTION_NAMES[c.direction]} {c.bits} bits"
            heads += [Column(name, group=group, align="left") for name in ("mAP", "difference")]
        about = {c.name: [getattr(c, label) for label in labels] for c in self.contrasts}
        nothing = [""] * len(labels)
        title = f"{self.full.records[0].spec.label} and its variants"
        least = [d for c, p in zip(self.against, self.p, strict=True) for d in detectable(c, p).values()]
        return Block(
            caption=(title, *_CAPTION, power_line(least), *self.full.caption(metric="map")),
            columns=tuple(heads),
            rows=tuple(self._row(name, about.get(name, nothing)) for name in self.rows),
            notes=tuple(self._notes()),
            stub=1 + len(labels),
            protocol=self.full.slug,
        )

    def _row(self, name: str, about: Sequence[str]) -> Row:
        future = FUTURE if any(r.spec.sees_future for r in self.rows[name].values()) else ""
        entries = [Entry(name, extra=future), *(Entry(text or " ") for text in about)]
        for column, comparisons, p in zip(self.columns, self.against, self.p, strict=True):
            records, key = self.records(name, column), f"map/{column.direction}"
            values = [r.rounds[-1].metrics[key] for r in records if not r.word]
            entries.append(self.full.entry(records, values, len(self.records(_FULL, column))))
            entries.append(_difference(comparisons.get(name), p.get(name, math.nan), full=name == _FULL))
        return tuple(entries)

    def _notes(self) -> Iterator[str]:
        if any(len(scores) > 1 for column in self.columns for scores in column.scores.values()):
            yield "± standard deviation over seeds"
        else:
            yield _ONE_SEED
        if any(math.isfinite(value) for p in self.p for value in p.values()):
            yield _STARS
        for c in self.contrasts:
            if _changes_nothing(c):
                yield f"{c.name}: {c.setting or 'nothing changed'}, the same as the full method here"
            elif c.setting:
                yield f"{c.name}: {c.setting}"
        ran = {r.spec.key: r for row in self.rows.values() for r in row.values()}
        full = self.full.records[0].spec
        yield from under_one_name(self.full.part(ran.values()), full.params, full.method_shown).notes()

    def data(self) -> Iterator[dict[str, Any]]:
        about = {c.name: (c.code, c.isolates, c.setting) for c in self.contrasts}
        for column, comparisons, p in zip(self.columns, self.against, self.p, strict=True):
            means = column.means()
            for name in self.rows:
                records = self.records(name, column)
                if not records:
                    continue
                code, isolates, setting = about.get(name, ("", "", ""))
                yield {
                    "variant": name,
                    "code": code,
                    "isolates": isolates,
                    "setting": setting,
                    **self.full.columns(records[0]),
                    "direction": column.direction,
                    "value": means.get(name),
                    "seeds": len(column.scores.get(name, {})),
                    **{n: getattr(comparisons.get(name), n, None) for n in _NUMBERS},
                    "p_holm": p.get(name),
                    "reason": reasons(records),
                }


def _difference(comparison: Comparison | None, p: float, *, full: bool) -> Entry:
    if comparison is None:
        return Entry(" " if full else "–")
    low, high = (short(bound, signed=True) for bound in (comparison.low, comparison.high))
    star = "*" if p < LEVEL else ""
    return Entry(short(comparison.difference, signed=True), comparison.difference, star, f"[{low}, {high}]")
