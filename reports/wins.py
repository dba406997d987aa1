"""Wins, ties and losses of every method against every other, over all pairs of seed and query."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.reporting import (
    Block,
    Column,
    Entry,
    ParameterError,
    Protocol,
    Results,
    Table,
    by_dataset,
    by_label,
    definition,
)
from bench.reports._scores import Compared, columns

_TIED = 1e-6  # scores are kept as float32
_CAPTION = (
    "percent of pairs (seed, query) on which the AP of the row is higher / equal / lower than that of the "
    + "column, after the last round, over all directions and code lengths, on the seeds that both have",
    f"AP: the value of one query in {definition('map')}",
    "counts, not tests: nothing here is called significant",
)
_Counts = Mapping[tuple[str, str], tuple[int, int, int]]  # row, column → wins, ties, losses


def render(results: Results) -> Table:
    """One block per protocol and dataset; references and constant codes are left out."""
    table = Table.of("Wins, ties and losses", map(_part, by_dataset(results)))
    if not table.data:
        raise ParameterError(f"needs at least two methods with results; {len(results)} cells have fewer.")
    return table


def _part(protocol: Protocol) -> tuple[Block, Iterator[dict[str, Any]]]:
    counts = _counts(list(columns(protocol)))
    ran = by_label(r for r in protocol.records if not r.word)
    numbers = (
        {**protocol.columns(*ran[a]), "against": b, "wins": w, "ties": t, "losses": x}
        for (a, b), (w, t, x) in counts.items()
    )
    return _block(protocol, counts), numbers


def _counts(compared: Sequence[Compared]) -> _Counts:
    """Wins, ties and losses of every ordered pair of methods."""
    counts: dict[tuple[str, str], list[int]] = {}
    for column in compared:
        for (a, mine), (b, theirs) in itertools.permutations(column.scores.items(), 2):
            entry = counts.setdefault((a, b), [0, 0, 0])
            for seed in set(mine) & set(theirs):
                difference = mine[seed] - theirs[seed]
                known = difference[~np.isnan(difference)]
                wins, losses = int((known > _TIED).sum()), int((known < -_TIED).sum())
                for i, n in enumerate((wins, len(known) - wins - losses, losses)):
                    entry[i] += n
    return {pair: (w, t, x) for pair, (w, t, x) in counts.items() if w + t + x}


def _block(protocol: Protocol, counts: _Counts) -> Block:
    labels = list(dict.fromkeys(a for a, _ in counts))

    def entry(a: str, b: str) -> Entry:
        if (a, b) not in counts:
            return Entry("" if a == b else "–")
        total = sum(counts[a, b])
        return Entry(" / ".join(f"{100 * n / total:.0f}" for n in counts[a, b]))

    return Block(
        caption=(*_CAPTION, *protocol.caption(metric="map")),
        columns=(Column("method", align="left"), *(Column(label) for label in labels)),
        rows=tuple((Entry(a, extra=protocol.marks[a]), *(entry(a, b) for b in labels)) for a in labels),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )
