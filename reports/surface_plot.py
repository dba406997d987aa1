"""One metric over two parameters or axes, as λ1 × λ2: a heat map per direction and code length."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.figures import Figure, Plot
from bench.records import Direction, RunRecord
from bench.reports._axes import Sweep, scores, shown, sweeps
from bench.reports._grid import metric_title
from bench.reports._panels import label_edges, part_name
from bench.reports._protocol import DIRECTION_NAMES
from bench.reports._style import by_direction, figure

Surfaces = Mapping[tuple[Direction, int], npt.NDArray[np.float64]]  # (down, across)


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    axes: Sequence[str] = (),
    stale: Mapping[str, str] | None = None,
) -> Figure:
    """Means over seeds; the first of ``axes`` goes down, the second across; a frame is at the highest."""
    found = sweeps(records, axes, 2, "surface_plot")
    plots, data = [], []
    for number, sweep in enumerate(found):
        surfaces = _surfaces(sweep, metric)
        plots.append(
            Plot(
                name=part_name(number, sweep.title) if len(found) > 1 else "",
                caption=(
                    f"{sweep.title}: {metric_title(metric)} after the last round, mean over seeds",
                    "framed: the highest",
                    *sweep.protocol.caption(swept=sweep.axes),
                ),
                notes=sweep.notes(stale or {}),
                draw=partial(_draw, sweep, surfaces, metric_title(metric)),
            )
        )
        data += list(_data(sweep, surfaces, metric))
    title = f"{metric_title(metric)} over {found[0].axes[0]} × {found[0].axes[1]}, drawn"
    return figure(title, plots, data)


def _surfaces(sweep: Sweep, metric: str) -> Surfaces:
    down, across = (sweep.levels(axis) for axis in sweep.axes)
    found: dict[tuple[Direction, int], npt.NDArray[np.float64]] = {}
    for direction in sweep.directions:
        for bits in sweep.lengths:
            cells = [[scores(sweep.at(bits, x, y), metric, direction) for y in across] for x in down]
            found[direction, bits] = np.array(
                [[statistics.fmean(v) if v else np.nan for v in row] for row in cells]
            )
    return found


def _draw(sweep: Sweep, surfaces: Surfaces, title: str) -> Any:
    import seaborn
    from matplotlib.patches import Rectangle

    down, across = (sweep.levels(axis) for axis in sweep.axes)
    directions = list(dict.fromkeys(d for d, _ in surfaces))
    lengths = sorted({b for _, b in surfaces})
    canvas, places, at = by_direction(directions, lengths, height=0.24 * len(down) + 0.9)
    known = np.concatenate([s.ravel() for s in surfaces.values()])
    limits = {"vmin": float(np.nanmin(known)), "vmax": float(np.nanmax(known))}
    room = len(across) * len(lengths) <= 16  # for the numbers
    for (direction, bits), surface in surfaces.items():
        axis = at[direction, bits]
        seaborn.heatmap(
            surface,
            ax=axis,
            cmap="viridis",
            cbar=False,
            annot=room,
            fmt=".3f",
            annot_kws={"fontsize": 6},
            xticklabels=[shown(v) for v in across],
            yticklabels=[shown(v) for v in down],
            **limits,
        )
        if np.isfinite(surface).any():
            row, column = map(int, np.unravel_index(np.nanargmax(surface), surface.shape))
            axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="red", linewidth=1.2))
        axis.set_title(f"{DIRECTION_NAMES[direction]}, {bits} bits")
        axis.tick_params(axis="y", rotation=0)
    label_edges(places, sweep.axes[1], sweep.axes[0])
    bar = canvas.colorbar(places[0, 0].collections[0], ax=places, shrink=0.8, pad=0.02)
    bar.set_label(title)
    return canvas


def _data(sweep: Sweep, surfaces: Surfaces, metric: str) -> Iterator[dict[str, Any]]:
    (first, second), protocol = sweep.axes, sweep.protocol.columns(sweep.records[0])
    for (direction, bits), surface in surfaces.items():
        for i, x in enumerate(sweep.levels(first)):
            for j, y in enumerate(sweep.levels(second)):
                where = {first: shown(x), second: shown(y), "metric": metric, "value": float(surface[i, j])}
                yield {**protocol, "bits": bits, "direction": direction, **where}
