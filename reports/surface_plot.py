"""One metric over two parameters or axes, as λ1 × λ2: a heat map per direction and code length."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError
from bench.records import Direction, RunRecord
from bench.reporting.figures import Figure, Plot
from bench.reports._axes import Sweep, data, scores, shown, sweeps
from bench.reports._metric import metric_title
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
    found = [(s, _surfaces(s, metric)) for s in sweeps(records, axes, 2, "surface_plot", metric)]
    ran = [(sweep, surfaces) for sweep, surfaces in found if _known(surfaces).size]
    if not ran:
        raise ParameterError(f"report 'surface_plot': none of {len(records)} cells has numbers to draw.")
    plots: list[Plot] = []
    rows: list[dict[str, Any]] = []
    for number, (sweep, surfaces) in enumerate(ran):
        plots.append(
            Plot(
                name=part_name(number, sweep.title) if len(ran) > 1 else "",
                caption=(*sweep.caption(metric), *_legend(surfaces)),
                notes=sweep.notes(stale or {}),
                draw=partial(_draw, sweep, surfaces, metric_title(metric)),
            )
        )
        rows += data(sweep, metric)
    title = f"{metric_title(metric)} over {' × '.join(ran[0][0].axes)}, drawn"
    return figure(title, plots, rows)


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
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    down, across = (sweep.levels(axis) for axis in sweep.axes)
    directions = list(dict.fromkeys(d for d, _ in surfaces))
    lengths = sorted({b for _, b in surfaces})
    canvas, places, at = by_direction(directions, lengths, height=0.24 * len(down) + 0.9)
    known = _known(surfaces)
    low = _whisker(known)
    colours = colormaps["viridis"].with_extremes(under="0.7")
    room = len(across) * len(lengths) <= 16  # for the numbers
    for (direction, bits), surface in surfaces.items():
        axis = at[direction, bits]
        seaborn.heatmap(
            surface,
            ax=axis,
            cmap=colours,
            cbar=False,
            annot=room,
            fmt=".3f",
            annot_kws={"fontsize": 6},
            xticklabels=[shown(v) for v in across],
            yticklabels=[shown(v) for v in down],
            vmin=low,
            vmax=known.max(),
        )
        if np.isfinite(surface).any():
            row, column = map(int, np.unravel_index(np.nanargmax(surface), surface.shape))
            axis.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="red", linewidth=1.2))
        axis.set_title(f"{DIRECTION_NAMES[direction]}, {bits} bits")
        axis.tick_params(axis="y", rotation=0)
    label_edges(places, sweep.axes[1], sweep.axes[0])
    cut = "min" if known.min() < low else "neither"
    bar = canvas.colorbar(places[0, 0].collections[0], ax=places, shrink=0.8, pad=0.02, extend=cut)
    bar.solids.set(rasterized=False, edgecolor="face")  # vectors, without hair lines between them
    bar.set_label(title)
    return canvas


def _known(surfaces: Surfaces) -> npt.NDArray[np.float64]:
    """The values of all cells that ran."""
    return np.concatenate([surface[np.isfinite(surface)] for surface in surfaces.values()])


def _legend(surfaces: Surfaces) -> Iterator[str]:
    yield "framed: the highest"
    known = _known(surfaces)
    if known.min() < _whisker(known):
        yield (
            "grey: outlying low values, left out of the scale of colours (below the first quartile by more "
            "than 1.5 times the distance of the quartiles)"
        )


def _whisker(values: npt.NDArray[np.float64]) -> float:
    """The lowest value that is no outlier by Tukey's rule.

    >>> _whisker(np.array([0.404, 0.73, 0.74, 0.74, 0.75]))
    0.73
    """
    first, third = np.quantile(values, (0.25, 0.75))
    return float(values[values >= first - 1.5 * (third - first)].min())
