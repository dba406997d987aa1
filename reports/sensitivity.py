"""One metric over the values of one parameter or axis: a table for every dataset."""

from bench.reporting import DIRECTION_NAMES, Block, Column, Entry, Metric, Results, Table, metric_title
from bench.reports._axes import AxisNames, Sweep, shown, sweeps


def render(results: Results, *, metric: Metric = "map", axes: AxisNames = ()) -> Table:
    """Means over seeds; the axis goes down."""
    found = sweeps(results, axes, 1, metric)
    title = f"{metric_title(metric)} over {found[0].axes[0]}"
    return Table.of(title, ((_block(sweep, metric), sweep.data(metric)) for sweep in found))


def _block(sweep: Sweep, metric: str) -> Block:
    places = [(d, bits) for d in sweep.directions for bits in sweep.lengths]
    [axis] = sweep.axes
    heads = [
        Column(f"{bits} bits", group=DIRECTION_NAMES[d], align="left", better="higher") for d, bits in places
    ]
    return Block(
        caption=sweep.caption(metric),
        columns=(Column(axis, align="left"), *heads),
        rows=tuple(
            (Entry(shown(x)), *(sweep.entry(bits, x, metric=metric, direction=d) for d, bits in places))
            for x in sweep.levels(axis)
        ),
        notes=sweep.notes(),
        protocol=sweep.protocol.slug,
    )
