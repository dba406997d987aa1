"""Bootstrap intervals of every mAP, and tests of every difference to the best of its column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.reporting import (
    CONFIDENCE,
    DIRECTION_NAMES,
    LEAST_SEEDS,
    LEVEL,
    Block,
    Column,
    Comparison,
    Entry,
    Evidence,
    Protocol,
    Results,
    Table,
    definition,
    protocols,
    short,
)
from bench.reports._scores import (
    Compared,
    against_best,
    columns,
    corrected,
    detectable,
    intervals,
    power_line,
)

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
    f"a star requires {LEAST_SEEDS} seeds and both tests: the larger p, Holm-corrected in its column",
    "the best is picked from the same scores, which makes p somewhat too small where methods are many",
)
_NUMBERS = ("difference", "low", "high", "p_queries", "p_seeds", "wins", "ties", "losses", "queries")


@dataclass(frozen=True, slots=True)
class _Tested:
    """One column: the interval of every method, and how it compares with the best."""

    column: Compared
    best: str
    intervals: Mapping[str, tuple[float, float]]
    comparisons: Mapping[str, Comparison]
    p: Mapping[str, float]
    least: Mapping[str, float]  # detectable differences, where there is a test

    def head(self, **marks: Any) -> Column:
        group = f"{self.column.dataset} {DIRECTION_NAMES[self.column.direction]}"
        return Column(f"{self.column.bits} bits", group=group, **marks)


def render(results: Results) -> Table:
    """Two blocks per protocol, numbers and differences; references and constant codes are left out."""
    parts: list[tuple[Block, Sequence[dict[str, Any]]]] = []
    for protocol in protocols(results):
        tested = [_tested(column, results.evidence) for column in columns(protocol)]
        if tested:
            parts.append((_numbers(protocol, tested), [row for t in tested for row in _data(protocol, t)]))
            parts.append((_differences(protocol, tested), ()))
    return Table.of("Intervals and tests", parts)


def _tested(column: Compared, evidence: Evidence) -> _Tested:
    comparisons = against_best(column, evidence)
    p = corrected(comparisons)
    least = detectable(comparisons, p)
    return _Tested(column, column.best(), intervals(column), comparisons, p, least)


def _numbers(protocol: Protocol, tested: Sequence[_Tested]) -> Block:
    means = [t.column.means() for t in tested]

    def entry(t: _Tested, mean: Mapping[str, float], label: str) -> Entry:
        if label not in mean:
            return Entry()
        return Entry(short(mean[label]), mean[label], below=_interval(*t.intervals[label]))

    return Block(
        caption=(_CAPTION, *protocol.caption(metric="map")),
        columns=(Column("method", align="left"), *(t.head(better="higher") for t in tested)),
        rows=tuple(
            (protocol.name(label), *(entry(t, mean, label) for t, mean in zip(tested, means, strict=True)))
            for label in _labels(tested)
        ),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _differences(protocol: Protocol, tested: Sequence[_Tested]) -> Block:
    least = [value for t in tested for value in t.least.values()]

    def entry(t: _Tested, label: str) -> Entry:
        comparison = t.comparisons.get(label)
        if label == t.best or comparison is None:
            return Entry("best" if label == t.best else "–")
        star = "*" if t.p[label] < LEVEL else ""
        interval = _interval(comparison.low, comparison.high)
        return Entry(short(comparison.difference), extra=star, below=interval)

    return Block(
        caption=(_DIFFERENCE, power_line(least), *protocol.caption(metric="map")),
        columns=(Column("method", align="left"), *(t.head() for t in tested)),
        rows=tuple((protocol.name(label), *(entry(t, label) for t in tested)) for label in _labels(tested)),
        notes=_NOTES,
        protocol=protocol.slug,
    )


def _data(protocol: Protocol, tested: _Tested) -> Iterator[dict[str, Any]]:
    column = tested.column
    for label, mean in column.means().items():
        here = protocol.datasets[column.dataset]
        record = next(r for r in here if r.spec.label == label and r.spec.bits == column.bits)
        comparison = tested.comparisons.get(label)
        low, high = tested.intervals[label]
        yield {
            **protocol.columns(record),
            "direction": column.direction,
            "value": mean,
            "interval_low": low,
            "interval_high": high,
            "seeds": len(column.scores[label]),
            "best": tested.best,
            **{f"against_best_{name}": getattr(comparison, name, None) for name in _NUMBERS},
            "against_best_p_holm": tested.p.get(label),
            "against_best_detectable": tested.least.get(label),
        }


def _labels(tested: Sequence[_Tested]) -> list[str]:
    return list(dict.fromkeys(label for t in tested for label in t.column.scores))


def _interval(low: float, high: float) -> str:
    return f"[{short(low)}, {short(high)}]"
