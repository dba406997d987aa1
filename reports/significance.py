"""How sure a table is: bootstrap intervals of every number, and tests of every difference to the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.significance import CONFIDENCE, LEVEL, Comparison
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._metric import definition
from bench.reports._protocol import DIRECTION_NAMES, STALE, Protocol, Stale, protocols
from bench.reports._scores import Column as Compared
from bench.reports._scores import against_best, columns, corrected, intervals

_MAP = f"{definition('map')}, after the last round"
_CAPTION = f"{_MAP}; in brackets a {CONFIDENCE:.0%} bootstrap interval over queries and seeds"
_DIFFERENCE = (
    f"{_MAP}: difference to the best of the column, in brackets its bootstrap interval, over the seeds that "
    f"both have; a star where it is significant at {LEVEL:g}"
)
_NOTES = (
    "intervals: percentile bootstrap, queries and seeds drawn independently; too narrow where seeds are few",
    "p over queries: paired randomisation test of the AP per query, mean over seeds, two-sided",
    "p over seeds: paired t-test of the mean AP per seed, two-sided",
    "a star takes both: the larger p, Holm-corrected over the methods of a column; one seed allows none",
    "the best is picked from the same scores, which makes p somewhat too small where methods are many",
)


@dataclass(frozen=True, slots=True)
class _Tested:
    """One column: the interval of every method, and how it compares with the best."""

    column: Compared
    best: str
    intervals: Mapping[str, tuple[float, float]]
    comparisons: Mapping[str, Comparison]
    p: Mapping[str, float]

    @property
    def head(self) -> Column:
        group = f"{self.column.dataset} {DIRECTION_NAMES[self.column.direction]}"
        return Column(f"{self.column.bits} bits", group=group)


def render(
    records: Sequence[RunRecord], *, arrays: Arrays | None = None, stale: Mapping[str, str] | None = None
) -> Table:
    """Two blocks per protocol, numbers and differences; methods that are no rivals are left out."""
    evidence = Evidence.of(arrays, "significance")
    blocks: list[Block] = []
    data: list[dict[str, Any]] = []
    for protocol in protocols(records):
        tested = [_tested(column, evidence) for column in columns(protocol, evidence)]
        if tested:
            blocks += [_numbers(protocol, tested, stale or {}), _differences(protocol, tested)]
            data += (row for t in tested for row in _data(protocol, t))
    if not blocks:
        raise ParameterError(f"report 'significance': none of {len(records)} cells has numbers to compare.")
    return Table(title="Intervals and tests", blocks=tuple(blocks), data=data)


def _tested(column: Compared, evidence: Evidence) -> _Tested:
    comparisons = against_best(column, evidence)
    return _Tested(column, column.best(), intervals(column), comparisons, corrected(comparisons))


def _numbers(protocol: Protocol, tested: Sequence[_Tested], stale: Stale) -> Block:
    means = [t.column.means() for t in tested]

    def cell(t: _Tested, mean: Mapping[str, float], label: str) -> Entry:
        if label not in mean:
            return Entry()
        return Entry(_short(mean[label]), mean[label], below=_interval(*t.intervals[label]))

    heads = [Column(t.head.name, group=t.head.group, better="higher") for t in tested]
    rows = {
        label: [cell(t, m, label) for t, m in zip(tested, means, strict=True)] for label in _labels(tested)
    }
    marks = protocol.marks()
    old = {r.spec.label for r in protocol.records if stale and r.spec.key in stale}
    return Block(
        caption=(_CAPTION, *protocol.caption(metric="map")),
        columns=(Column("method", align="left"), *heads),
        rows=tuple(
            (Entry(label, extra=marks[label] + (STALE if label in old else "")), *row)
            for label, row in rows.items()
        ),
        notes=protocol.notes(stale),
    )


def _differences(protocol: Protocol, tested: Sequence[_Tested]) -> Block:
    def cell(t: _Tested, label: str) -> Entry:
        if label == t.best:
            return Entry("best")
        found = t.comparisons.get(label)
        if found is None:
            return Entry()
        star = "*" if t.p[label] < LEVEL else ""
        return Entry(_short(found.difference), extra=star, below=_interval(found.low, found.high))

    return Block(
        caption=(_DIFFERENCE, *protocol.caption(metric="map")),
        columns=(Column("method", align="left"), *(t.head for t in tested)),
        rows=tuple((Entry(label), *(cell(t, label) for t in tested)) for label in _labels(tested)),
        notes=_NOTES,
    )


def _data(protocol: Protocol, tested: _Tested) -> Iterator[dict[str, Any]]:
    column = tested.column
    for label, mean in column.means().items():
        here = protocol.datasets[column.dataset]
        record = next(r for r in here if r.spec.label == label and r.spec.bits == column.bits)
        found = tested.comparisons.get(label)
        names = ("difference", "low", "high", "p_queries", "p_seeds", "wins", "ties", "losses", "queries")
        low, high = tested.intervals[label]
        yield {
            **protocol.columns(record),
            "direction": column.direction,
            "value": mean,
            "interval_low": low,
            "interval_high": high,
            "seeds": len(column.scores[label]),
            "best": tested.best,
            **{f"against_best_{name}": getattr(found, name) if found else None for name in names},
            "against_best_p_holm": tested.p.get(label),
        }


def _labels(tested: Sequence[_Tested]) -> list[str]:
    return list(dict.fromkeys(label for t in tested for label in t.column.scores))


def _interval(low: float, high: float) -> str:
    return f"[{_short(low)}, {_short(high)}]"


def _short(value: float) -> str:
    """Three decimals, no leading zero, a true minus."""
    if math.isnan(value):
        return "n/a"
    text = f"{abs(value):.3f}"
    text = text[1:] if text.startswith("0.") else text
    return f"−{text}" if value < 0 and float(text) else text
