"""Win, tie and loss of every method against every other, over all pairs of seed and query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._metric import definition
from bench.reports._panels import by_label
from bench.reports._protocol import Protocol, Stale, protocols
from bench.reports._scores import Column as Compared
from bench.reports._scores import columns

_TIED = 1e-6  # scores are kept as float32
_CAPTION = (
    "percent of pairs (seed, query) on which the AP of the row is higher / equal / lower than that of the "
    + "column, after the last round, all directions and code lengths together, on the seeds that both have",
    f"AP: the value of one query in {definition('map')}",
)


def render(
    records: Sequence[RunRecord], *, arrays: Arrays | None = None, stale: Mapping[str, str] | None = None
) -> Table:
    """One block per protocol and dataset; methods that are no rivals are left out."""
    evidence = Evidence.of(arrays, "wins")
    blocks: list[Block] = []
    data: list[dict[str, Any]] = []
    for protocol in protocols(records):
        by_dataset: dict[str, list[Compared]] = {}
        for column in columns(protocol, evidence):
            by_dataset.setdefault(column.dataset, []).append(column)
        for dataset, found in by_dataset.items():
            part = Protocol(pool=protocol.pool, records=tuple(protocol.datasets[dataset]))
            ran = by_label([r for r in part.records if not r.word])
            counts = _counts(found)
            blocks.append(_block(part, counts, stale or {}))
            data += (
                {**part.columns(*ran[a]), "against": b, "wins": w, "ties": t, "losses": x}
                for (a, b), (w, t, x) in counts.items()
            )
    if not data:
        raise ParameterError(
            f"report 'wins': {len(records)} cells have no two methods to compare. Select two with numbers."
        )
    return Table(title="Wins, ties and losses", blocks=tuple(blocks), data=data)


def _counts(found: Sequence[Compared]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Wins, ties and losses of every ordered pair of methods."""
    counts: dict[tuple[str, str], list[int]] = {}
    for column in found:
        for a, mine in column.scores.items():
            for b, theirs in column.scores.items():
                if a != b:
                    entry = counts.setdefault((a, b), [0, 0, 0])
                    for seed in set(mine) & set(theirs):
                        difference = mine[seed] - theirs[seed]
                        known = difference[~np.isnan(difference)]
                        wins, losses = int((known > _TIED).sum()), int((known < -_TIED).sum())
                        for i, n in enumerate((wins, len(known) - wins - losses, losses)):
                            entry[i] += n
    return {pair: (w, t, x) for pair, (w, t, x) in counts.items() if w + t + x}


def _block(part: Protocol, counts: Mapping[tuple[str, str], tuple[int, int, int]], stale: Stale) -> Block:
    labels = list(dict.fromkeys(a for a, _ in counts))
    marks = part.marks()

    def cell(a: str, b: str) -> Entry:
        if (a, b) not in counts:
            return Entry("" if a == b else "–")
        total = sum(counts[a, b])
        return Entry(" / ".join(f"{100 * n / total:.0f}" for n in counts[a, b]))

    return Block(
        caption=(*_CAPTION, *part.caption(metric="map")),
        columns=(Column("method", align="left"), *(Column(label) for label in labels)),
        rows=tuple((Entry(a, extra=marks[a]), *(cell(a, b) for b in labels)) for a in labels),
        notes=part.notes(stale),
    )
