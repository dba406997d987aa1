"""How long methods need to recover after a shift: the fall of a score along the stream, and the way back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from bench.reporting import (
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    ParameterError,
    Protocol,
    Results,
    RunRecord,
    Table,
    chance_name,
    check_metric,
    definition,
    grouped,
    metric_title,
    protocols,
    short,
)

_FIXED = ("timed", "stored")  # orders that the seed does not decide
_Scores = dict[int, tuple[float, float]]  # round → score, and the score above chance
_Place = tuple[str, Direction, int]  # dataset, direction, bits


@dataclass(frozen=True, slots=True)
class Way:
    """A cell from a shift on; ``rounds`` is None where it is not back in the ``left`` rounds that follow."""

    shift: int
    before: float
    lowest: float
    rounds: int | None
    left: int


def render(results: Results, metric: str, share: float, shift: int) -> Table:
    """The table; ``shift`` 0 is the round with the largest fall, mean over the rivals of a stream."""
    if share > 1:
        raise ParameterError(f"recovery={share:g} is no share of the score before the shift. Try 0.95.")
    check_metric(results, metric)
    several = results.select(lambda r: bool(r.word) or len(r.rounds) > 2)
    if all(r.word for r in several):
        raise ParameterError(
            f"none of {len(results)} cells has three evaluated rounds, before a shift, at it and after it. "
            "Run with --evaluate all."
        )
    parts = [(protocol, list(_rows(protocol, metric, share, shift))) for protocol in protocols(several)]
    return Table.of(
        f"Recovery of {metric_title(metric)}",
        ((_block(protocol, rows, metric, share, shift), rows) for protocol, rows in parts),
    )


def way(scores: _Scores, shift: int, share: float) -> Way | None:
    """The fall at a round and the way back; None where the score has no value before or at it."""
    earlier = [number for number in scores if number < shift]
    later = [number for number in scores if number >= shift]
    if not earlier or shift not in scores:
        return None
    before, above = scores[max(earlier)]
    back = next((number for number in later if scores[number][1] >= share * above), None)
    passed = later if back is None else [number for number in later if number <= back]
    lowest = min(scores[number][0] for number in passed)
    return Way(shift, before, lowest, None if back is None else back - shift, later[-1] - shift)


def largest_fall(several: Sequence[_Scores]) -> int | None:
    """The round with the largest fall of the score above chance, mean over methods; None where none falls."""
    common = sorted(set.intersection(*(set(scores) for scores in several))) if several else []
    if len(common) < 2:
        return None
    change = np.diff([fmean(scores[number][1] for scores in several) for number in common])
    return common[int(change.argmin()) + 1] if change.min() < 0 else None


def _scores(record: RunRecord, metric: str, direction: Direction) -> _Scores:
    """The rounds whose mean says something: with a tenth of the items, and something relevant to find."""
    key, chance = f"{metric}/{direction}", f"{chance_name(metric)}/{direction}"
    least = record.rounds[-1].items / 10
    full = [
        r for r in record.rounds if r.items >= least and 2 * r.empty_queries.get(direction, 0) <= r.queries
    ]
    pairs = {r.round: (r.metrics.get(key, np.nan), r.metrics.get(chance, 0.0)) for r in full}
    return {number: (s, s - c) for number, (s, c) in pairs.items() if not np.isnan(s)}


def _rows(protocol: Protocol, metric: str, share: float, shift: int) -> Iterator[dict[str, Any]]:
    """One for every method, dataset, direction and code length."""
    for dataset, records in protocol.datasets.items():
        for direction in records[0].spec.directions:
            shifts = _shifts(records, metric, direction, shift)
            for (label, bits), mine in grouped(records, lambda r: (r.spec.label, r.spec.bits)).items():
                ran = [r for r in mine if not r.word]
                known = [(r, at) for r in ran if (at := shifts[r.spec.seed]) is not None]
                ways = [w for r, at in known if (w := way(_scores(r, metric, direction), at, share))]
                yield {
                    **protocol.columns(*mine),
                    "method": label,
                    "dataset": dataset,
                    "direction": direction,
                    "bits": bits,
                    "metric": metric,
                    **_summary(ways),
                    "seeds": len(ran),
                    "word": next((r.word for r in mine if r.word), ""),
                    **protocol.outcome(mine),
                }


def _shifts(
    records: Iterable[RunRecord], metric: str, direction: Direction, shift: int
) -> dict[int, int | None]:
    """The round of the shift by seed: that which is given, or the largest fall over rivals.

    Seeds whose streams have the same order have the same shift.
    """
    ran = [r for r in records if not r.word]
    fixed = all(r.spec.schedule.order in _FIXED for r in ran)
    streams = grouped(ran, lambda r: 0 if fixed else r.spec.seed)
    shifts = {
        stream: shift or largest_fall([_scores(r, metric, direction) for r in mine if not r.reference])
        for stream, mine in streams.items()
    }
    return {r.spec.seed: shifts[0 if fixed else r.spec.seed] for r in ran}


def _summary(ways: Sequence[Way]) -> dict[str, Any]:
    """Median rounds over seeds, where most are back, and means of the scores."""
    rounds = [np.inf if w.rounds is None else w.rounds for w in ways]
    middle = median(rounds) if rounds else None
    return {
        "shift": " ".join(map(str, sorted({w.shift for w in ways}))),
        "recovery": None if middle is None or np.isinf(middle) else float(middle),
        "left": min((w.left for w in ways), default=None),
        "recovered": sum(w.rounds is not None for w in ways),
        "with_shift": len(ways),
        "before": fmean(w.before for w in ways) if ways else None,
        "lowest": fmean(w.lowest for w in ways) if ways else None,
    }


def _block(
    protocol: Protocol, rows: Sequence[Mapping[str, Any]], metric: str, share: float, shift: int
) -> Block:
    places: dict[_Place, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        places.setdefault((row["dataset"], row["direction"], row["bits"]), {})[row["method"]] = row
    order = list(protocol.datasets)
    ordered = sorted(places, key=lambda place: (order.index(place[0]), list(DIRECTION_NAMES).index(place[1])))
    lines = {
        label: (protocol.name(label), *(_entry(places[place].get(label)) for place in ordered))
        for label in protocol.marks
    }
    return Block(
        caption=(*_caption(metric, share, shift), *protocol.caption(metric=metric)),
        columns=(
            Column("method", align="left"),
            *(
                Column(f"{bits} bits", group=f"{dataset} {DIRECTION_NAMES[direction]}", better="lower")
                for dataset, direction, bits in ordered
            ),
        ),
        rows=tuple(line for label, line in lines.items() if label not in protocol.references),
        foot=tuple(line for label, line in lines.items() if label in protocol.references),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _caption(metric: str, share: float, shift: int) -> tuple[str, ...]:
    above = f"the score{' above chance' if chance_name(metric) else ''}"
    largest = f"the round in which {above} falls most, mean over the rivals of a stream"
    return (
        f"{definition(metric)}, by round, counted from 0",
        f"rounds from the shift until {above} is back at {share:.0%} of that before, median over seeds; "
        + "0: it was never below; >k: not within the k rounds that follow",
        f"shift: {f'round {shift}' if shift else largest}; left out are rounds before a tenth of the items "
        + "has come, or half of the queries have a relevant one",
        "below: the score before the shift → the lowest until it is back or at the end, mean over seeds; "
        + "the round of the shift",
    )


def _entry(row: Mapping[str, Any] | None) -> Entry:
    if row is None:
        return Entry()
    if not row["with_shift"]:
        return Entry(row["word"] or "no fall")
    value = row["recovery"]
    text = f"{value:g}" if value is not None else f">{row['left']}"
    below = f"{short(row['before'])} → {short(row['lowest'])} at {row['shift'].replace(' ', ', ')}"
    return Entry(text, value, below=below)
