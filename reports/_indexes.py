"""Helpers of the reports on measured indexes: the cheapest setting of each that reaches a recall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.records import IndexRecord, SearchRecord
from bench.reporting import Direction, ParameterError, Protocol, Results, RunRecord, by_row

CUTS = (1, 10, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One index over the codes of a method at a code length: means over the seeds that were measured."""

    ran: Sequence[RunRecord]
    index: str
    setting: str  # of each seed
    reached: bool  # the recall, at some setting of every seed; else the setting of the highest recall
    recall: Mapping[int, float]
    precision: Mapping[int, float]
    p50: float
    p99: float
    busy_p50: float | None  # while every core asks
    busy_p99: float | None
    alone: float  # queries per second on one thread
    together: float  # on all
    bytes_per_item: float
    build_seconds: float
    add_seconds: float

    @property
    def name(self) -> str:
        return f"{self.index} {self.setting}".rstrip()


def check(results: Results, recall: float, k: int) -> None:
    """Raise ParameterError where the options ask for what is never measured, or no index is measured."""
    if k not in CUTS:
        raise ParameterError(f"k={k}: recall is measured at {', '.join(map(str, CUTS))}. Give one of them.")
    if not 0 < recall <= 1:
        raise ParameterError(f"recall={recall:g}: expected a share above 0 and at most 1, such as 0.9.")
    if not any(results.index(record) for record in results):
        raise ParameterError(
            f"none of {len(results)} cells has measured indexes. Run `bench index` on the results folder."
        )


def candidates(protocol: Protocol, direction: Direction, recall: float, k: int) -> Iterator[Candidate]:
    """Every measured index of every method and code length, rivals and references, in one direction."""
    for ran in by_row(r for r in protocol.records if not r.word):
        measured = {r.spec.key: index for r in ran if (index := protocol.results.index(r)) is not None}
        mine = [r for r in ran if r.spec.key in measured]
        for kind in dict.fromkeys(s.index for index in measured.values() for s in index.searches):
            chosen = [cheapest(measured[r.spec.key], direction, kind, recall, k) for r in mine]
            searches = [search for search in chosen if search is not None]
            if searches:
                yield _mean(mine, kind, searches, recall, k)


def cheapest(
    index: IndexRecord, direction: Direction, kind: str, recall: float, k: int
) -> SearchRecord | None:
    """The quickest setting that reaches the recall, else the most accurate one; None where k is too large."""
    known = [s for s in index.searches if s.index == kind and s.direction == direction and str(k) in s.recall]
    enough = [s for s in known if s.recall[str(k)] >= recall]
    if enough:
        return min(enough, key=lambda s: s.p50)
    return max(known, key=lambda s: s.recall[str(k)], default=None)


def _mean(
    ran: Sequence[RunRecord], kind: str, searches: Sequence[SearchRecord], recall: float, k: int
) -> Candidate:
    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    cuts = [cut for cut in CUTS if all(str(cut) in s.recall for s in searches)]
    names = ("p50", "p99", "bytes_per_item", "build_seconds", "add_seconds")
    return Candidate(
        ran=ran,
        index=kind,
        busy_p50=_known([s.busy_p50 for s in searches]),
        busy_p99=_known([s.busy_p99 for s in searches]),
        setting=" or ".join(dict.fromkeys(s.setting for s in searches)),
        reached=all(s.recall[str(k)] >= recall for s in searches),
        recall={cut: mean([s.recall[str(cut)] for s in searches]) for cut in cuts},
        precision={cut: mean([s.precision[str(cut)] for s in searches]) for cut in cuts},
        alone=mean([s.rates["1"] for s in searches]),
        together=mean([s.rates[max(s.rates, key=int)] for s in searches]),
        **{name: mean([getattr(s, name) for s in searches]) for name in names},
    )


def _known(values: Sequence[float | None]) -> float | None:
    """The mean; None where an older measurement lacks one."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def facts(candidate: Candidate) -> dict[str, float | str | bool | None]:
    """The plain numbers of a candidate, for a row of data."""
    shares = {
        f"{name}@{k}": getattr(candidate, name).get(k) for name in ("recall", "precision") for k in CUTS
    }
    names = ("index", "setting", "reached")
    times = ("p50", "p99", "busy_p50", "busy_p99", "alone", "together")
    costs = ("bytes_per_item", "build_seconds", "add_seconds")
    plain = {name: getattr(candidate, name) for name in (*names, *times, *costs)}
    return plain | shares


def machines(protocol: Protocol) -> str:
    """The machine of the measurements, on which latencies depend."""
    found = [index for r in protocol.records if (index := protocol.results.index(r)) is not None]
    names = dict.fromkeys(
        f"{one.environment.get('cpu') or 'unknown processor'}, {one.environment.get('cores')} cores, "
        f"faiss {one.environment.get('faiss')}"
        for one in found
    )
    return "; ".join(names)
