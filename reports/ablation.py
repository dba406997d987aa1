"""What each part of a method is worth: its variants, and their paired differences to the full method."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.errors import ParameterError
from bench.records import DIRECTIONS, Contrast, RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.significance import CONFIDENCE, LEVEL, Comparison
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.reports._axes import under_one_name
from bench.reports._metric import definition, short
from bench.reports._protocol import (
    DIRECTION_NAMES,
    FUTURE,
    STALE,
    Protocol,
    Stale,
    dataset_of,
    protocols,
)
from bench.reports._scores import Column as Compared
from bench.reports._scores import against, corrected

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
_ONE_SEED = "one seed: the intervals are over queries alone and say nothing of another run; no test"


def render(
    records: Sequence[RunRecord],
    *,
    contrasts: Sequence[Contrast] = (),
    arrays: Arrays | None = None,
    stale: Stale | None = None,
) -> Table:
    """One block per protocol: the full method, then one row per contrast, as `bench ablate` makes them.

    Without contrasts, every setting of a method is compared with the method without parameters.
    """
    evidence = Evidence.of(arrays, "ablation")
    by_key = {record.spec.key: record for record in records}
    contrasts = [_present(c, by_key) for c in contrasts or _settings(records)]
    full = dict.fromkeys(key for c in contrasts for key in c.pairs)
    if not full:
        raise ParameterError(
            "no cell here has a variant to be compared with. `bench ablate METHOD` runs a method and its "
            "variants, and prints this table."
        )
    blocks: list[Block] = []
    data: list[dict[str, Any]] = []
    for protocol in protocols([by_key[key] for key in full]):
        for label in protocol.marks():
            mine = tuple(r for r in protocol.records if r.spec.label == label)
            part = _Part(Protocol(pool=protocol.pool, records=mine), contrasts, by_key, evidence)
            blocks.append(part.block(stale or {}))
            data += part.data()
    return Table(title="Ablation", blocks=tuple(blocks), data=data)


def _present(contrast: Contrast, by_key: Mapping[str, RunRecord]) -> Contrast:
    """The pairs of which both cells are here."""
    pairs = {full: other for full, other in contrast.pairs.items() if full in by_key and other in by_key}
    return Contrast(name=contrast.name, isolates=contrast.isolates, setting=contrast.setting, pairs=pairs)


def _changes_nothing(contrast: Contrast) -> bool:
    """Whether the variant is the full method itself, in all its cells."""
    return all(full == other for full, other in contrast.pairs.items())


def _settings(records: Sequence[RunRecord]) -> list[Contrast]:
    """Every setting of a method against the method as it is, in all cells that have both."""

    def place(record: RunRecord) -> tuple[Any, ...]:
        s = record.spec
        axes = (s.schedule, s.seed, s.database, s.pool, s.val, s.evaluate, s.labelled, s.paired, s.directions)
        return (s.method, dataset_of(record), s.bits, *axes)

    plain = {place(r): r.spec.key for r in records if not r.spec.params}
    found: dict[str, dict[str, str]] = {}
    for record in records:
        full = plain.get(place(record))
        if record.spec.params and full is not None:
            found.setdefault(record.spec.label, {})[full] = record.spec.key
    return [Contrast(name=label, isolates="", setting="", pairs=pairs) for label, pairs in found.items()]


class _Part:
    """The full method of one protocol, and the cells that are compared with it."""

    def __init__(
        self,
        full: Protocol,
        contrasts: Sequence[Contrast],
        by_key: Mapping[str, RunRecord],
        evidence: Evidence,
    ) -> None:
        self.full = full
        keys = {r.spec.key for r in full.records}
        self.contrasts = [c for c in contrasts if keys & c.pairs.keys()]
        variants = {c.name: {k: by_key[v] for k, v in c.pairs.items() if k in keys} for c in self.contrasts}
        self.rows = {_FULL: {r.spec.key: r for r in full.records}, **variants}
        self.columns = [self._column(evidence, *place) for place in self._places()]
        self.found = [against(column, _FULL) if _FULL in column.scores else {} for column in self.columns]
        same = {c.name for c in self.contrasts if _changes_nothing(c)}  # no hypothesis to correct for
        tested = [{n: c for n, c in found.items() if n not in same} for found in self.found]
        self.p = [corrected(found) for found in tested]

    def _places(self) -> Iterator[tuple[str, Any, int]]:
        for dataset, records in self.full.datasets.items():
            for direction in DIRECTIONS:
                if direction in records[0].spec.directions:
                    yield from ((dataset, direction, b) for b in sorted({r.spec.bits for r in records}))

    def _column(self, evidence: Evidence, dataset: str, direction: Any, bits: int) -> Compared:
        here = [r for r in self.full.datasets[dataset] if r.spec.bits == bits]
        scores: dict[str, dict[int, Any]] = {}
        for name, row in self.rows.items():
            ran = [row[r.spec.key] for r in here if r.spec.key in row and not row[r.spec.key].word]
            if ran:
                scores[name] = {r.spec.seed: evidence.search(r, direction).scores for r in ran}
        return Compared(dataset, direction, bits, scores)

    def records(self, name: str, column: Compared) -> list[RunRecord]:
        """The cells of a row in a column, whether they ran or not."""
        return [
            self.rows[name][r.spec.key]
            for r in self.full.datasets[column.dataset]
            if r.spec.bits == column.bits and r.spec.key in self.rows[name]
        ]

    def block(self, stale: Stale) -> Block:
        heads = [Column("variant", align="left"), Column("isolates", align="left")]
        for c in self.columns:
            group = f"{c.dataset} {DIRECTION_NAMES[c.direction]} {c.bits} bits"
            heads += [Column(name, group=group, align="left") for name in ("mAP", "difference")]
        isolates = {c.name: c.isolates for c in self.contrasts}
        return Block(
            caption=(
                f"{self.full.records[0].spec.label} and its variants",
                *_CAPTION,
                *self.full.caption(metric="map"),
            ),
            columns=tuple(heads),
            rows=tuple(self._row(name, isolates.get(name, ""), stale) for name in self.rows),
            notes=tuple(self._notes(stale)),
            stub=2,
        )

    def _row(self, name: str, isolates: str, stale: Stale) -> Row:
        future = FUTURE if any(r.spec.sees_future for r in self.rows[name].values()) else ""
        cells = [Entry(name, extra=future), Entry(isolates or " ")]
        for column, found, p in zip(self.columns, self.found, self.p, strict=True):
            records = self.records(name, column)
            old = STALE if any(r.spec.key in stale for r in records) else ""
            scores = column.scores.get(name, {})
            if scores:
                values = [r.rounds[-1].metrics[f"map/{column.direction}"] for r in records if not r.word]
                cells.append(_value(values, len(self.records(_FULL, column)), old))
            else:
                cells.append(Entry(next((r.word for r in records if r.word), "–"), extra=old))
            cells.append(_difference(found.get(name), p.get(name, math.nan), full=name == _FULL))
        return tuple(cells)

    def _notes(self, stale: Stale) -> Iterator[str]:
        if any(len(scores) > 1 for column in self.columns for scores in column.scores.values()):
            yield "± standard deviation over seeds"
            yield _STARS
        else:
            yield _ONE_SEED
        for c in self.contrasts:
            if _changes_nothing(c):
                yield f"{c.name}: {c.setting or 'nothing changed'}, which is the full method here"
            elif c.setting:
                yield f"{c.name}: {c.setting}"
        ran = {r.spec.key: r for row in self.rows.values() for r in row.values()}
        named = under_one_name(list(ran.values()), self.full.records[0].spec.params, stale)
        yield from Protocol(pool=self.full.pool, records=named).notes(stale)

    def data(self) -> Iterator[dict[str, Any]]:
        said = {c.name: (c.isolates, c.setting) for c in self.contrasts}
        for column, found, p in zip(self.columns, self.found, self.p, strict=True):
            means = column.means()
            for name in self.rows:
                records = self.records(name, column)
                if not records:
                    continue
                isolates, setting = said.get(name, ("", ""))
                reasons = dict.fromkeys(f"{r.word}: {r.trouble}" for r in records if r.word)
                numbers = ("difference", "low", "high", "p_queries", "p_seeds", "wins", "ties", "losses")
                yield {
                    "variant": name,
                    "isolates": isolates,
                    "setting": setting,
                    **self.full.columns(records[0]),
                    "direction": column.direction,
                    "value": means.get(name),
                    "seeds": len(column.scores.get(name, {})),
                    **{n: getattr(found[name], n) if name in found else None for n in numbers},
                    "p_holm": p.get(name),
                    "reason": "; ".join(reasons),
                }


def _value(values: Sequence[float], expected: int, old: str) -> Entry:
    mean = statistics.fmean(values)
    spread = f" ±{short(statistics.stdev(values))}" if len(values) > 1 else ""
    count = f" (n={len(values)})" if len(values) < expected else ""
    return Entry(short(mean), mean, old + spread + count)


def _difference(found: Comparison | None, p: float, *, full: bool) -> Entry:
    if found is None:
        return Entry(" " if full else "–")
    bounds = f"[{_signed(found.low)}, {_signed(found.high)}]"
    star = "*" if p < LEVEL else ""
    return Entry(_signed(found.difference), found.difference, star, bounds)


def _signed(value: float) -> str:
    """Three decimals with their sign; what rounds to zero has none.

    >>> [_signed(value) for value in (0.0123, -0.4, -0.0001)]
    ['+.012', '−.400', '.000']
    """
    if math.isnan(value):
        return "n/a"
    text = short(abs(value))
    return text if text == ".000" else f"{'−' if value < 0 else '+'}{text}"
