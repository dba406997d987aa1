"""One metric over the values of one parameter or axis: a table for every dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.records import RunRecord
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
    """Means over seeds; ``axes`` names the one that goes down."""
    found = sweeps(records, axes, 1, "sensitivity", metric)
    return Table(
        title=f"{metric_title(metric)} over {found[0].axes[0]}",
        blocks=tuple(_block(sweep, metric, stale or {}) for sweep in found),
        data=[row for sweep in found for row in data(sweep, metric)],
    )


def _block(sweep: Sweep, metric: str, stale: Stale) -> Block:
    places = [(d, bits) for d in sweep.directions for bits in sweep.lengths]
    [axis] = sweep.axes
    return Block(
        caption=sweep.caption(metric),
        columns=(
            Column(axis, align="left"),
            *(
                Column(f"{bits} bits", group=DIRECTION_NAMES[d], align="left", better="higher")
                for d, bits in places
            ),
        ),
        rows=tuple(
            (Entry(shown(x)), *(entry(sweep.at(bits, x), metric, d, stale) for d, bits in places))
            for x in sweep.levels(axis)
        ),
        notes=sweep.notes(stale),
    )
