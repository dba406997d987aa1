"""One metric over two parameters or axes, as λ1 × λ2: a table for every dataset and code length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.records import Direction, RunRecord
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._axes import Sweep, data, entry, shown, sweeps
from bench.reports._metric import metric_title
from bench.reports._protocol import DIRECTION_NAMES, Stale


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    axes: Sequence[str] = (),
    stale: Mapping[str, str] | None = None,
) -> Table:
    """Means over seeds; the first of ``axes`` goes down, the second across, once for each direction."""
    found = sweeps(records, axes, 2, "surface", metric)
    return Table(
        title=f"{metric_title(metric)} over {found[0].axes[0]} × {found[0].axes[1]}",
        blocks=tuple(_block(sweep, bits, metric, stale or {}) for sweep in found for bits in sweep.lengths),
        data=[row for sweep in found for row in data(sweep, metric)],
    )


def _block(sweep: Sweep, bits: int, metric: str, stale: Stale) -> Block:
    down, across = (sweep.levels(axis) for axis in sweep.axes)
    cells = {
        (d, x, y): entry(sweep.at(bits, x, y), metric, d, stale)
        for d in sweep.directions
        for x in down
        for y in across
    }
    heads = [
        Column(shown(y), group=f"{DIRECTION_NAMES[d]}, {sweep.axes[1]}", align="left")
        for d in sweep.directions
        for y in across
    ]
    return Block(
        caption=sweep.caption(metric, f", {bits} bits"),
        columns=(Column(sweep.axes[0]), *heads),
        rows=tuple(
            (Entry(shown(x)), *(cells[d, x, y] for d in sweep.directions for y in across)) for x in down
        ),
        notes=(*_best(cells, sweep.axes), *sweep.notes(stale)),
    )


def _best(cells: Mapping[tuple[Direction, Any, Any], Entry], axes: Sequence[str]) -> Iterator[str]:
    """Where each direction is highest."""
    for direction in dict.fromkeys(d for d, _, _ in cells):
        ran = {key: c.value for key, c in cells.items() if key[0] == direction and c.value is not None}
        if ran:
            _, x, y = max(ran, key=ran.__getitem__)
            where = f"{axes[0]}={shown(x)}, {axes[1]}={shown(y)}"
            yield f"{DIRECTION_NAMES[direction]} is highest, {cells[direction, x, y].text}, at {where}"
