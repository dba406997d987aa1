"""One metric over two parameters or axes, such as λ1 × λ2: a table for every dataset and code length."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.reporting import (
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    Metric,
    Results,
    Table,
    metric_title,
)
from bench.reports._axes import AxisNames, Sweep, shown, sweeps


def render(results: Results, *, metric: Metric = "map", axes: AxisNames = ()) -> Table:
    """Means over seeds; the first axis goes down, the second across, once for each direction."""
    found = sweeps(results, axes, 2, metric)
    return Table(
        title=f"{metric_title(metric)} over {' × '.join(found[0].axes)}",
        blocks=tuple(_block(sweep, bits, metric) for sweep in found for bits in sweep.lengths),
        data=[row for sweep in found for row in sweep.data(metric)],
    )


def _block(sweep: Sweep, bits: int, metric: str) -> Block:
    down, across = (sweep.levels(axis) for axis in sweep.axes)
    entries = {
        (d, x, y): sweep.entry(bits, x, y, metric=metric, direction=d)
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
            (Entry(shown(x)), *(entries[d, x, y] for d in sweep.directions for y in across)) for x in down
        ),
        notes=(*_best(entries, sweep.axes), *sweep.notes()),
        protocol=sweep.protocol.slug,
    )


def _best(entries: Mapping[tuple[Direction, Any, Any], Entry], axes: Sequence[str]) -> Iterator[str]:
    """Where each direction is highest."""
    for direction in dict.fromkeys(d for d, _, _ in entries):
        ran = {key: e.value for key, e in entries.items() if key[0] == direction and e.value is not None}
        if ran:
            _, x, y = max(ran, key=ran.__getitem__)
            where = f"{axes[0]}={shown(x)}, {axes[1]}={shown(y)}"
            yield f"{DIRECTION_NAMES[direction]} is highest, {entries[direction, x, y].text}, at {where}"
