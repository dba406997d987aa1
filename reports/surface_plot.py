"""One metric over two parameters or axes, such as λ1 × λ2: a heat map per direction and code length."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.reporting import (
    DIRECTION_NAMES,
    Direction,
    Figure,
    Metric,
    ParameterError,
    Results,
    by_direction,
    label_edges,
    metric_title,
)
from bench.reports._axes import AxisNames, Sweep, drawn, scores, shown, sweeps

Surfaces = Mapping[tuple[Direction, int], npt.NDArray[np.float64]]  # (down, across)


def render(results: Results, *, metric: Metric = "map", axes: AxisNames = ()) -> Figure:
    """Means over seeds; the first axis goes down, the second across; a frame marks the highest."""
    every = sweeps(results, axes, 2, metric)
    ran = [sweep for sweep in every if _known(_surfaces(sweep, metric)).size]
    if not ran:
        raise ParameterError(f"none of {len(results)} cells has numbers to draw.")

    def plot(sweep: Sweep) -> tuple[tuple[str, ...], Callable[[], Any]]:
        surfaces = _surfaces(sweep, metric)
        levels = {axis: sweep.levels(axis) for axis in sweep.axes}
        return tuple(_legend(surfaces)), partial(_draw, levels, surfaces, metric_title(metric))

    return drawn(ran, metric, plot)


def _surfaces(sweep: Sweep, metric: str) -> Surfaces:
    down, across = (sweep.levels(axis) for axis in sweep.axes)
    surfaces: dict[tuple[Direction, int], npt.NDArray[np.float64]] = {}
    for direction in sweep.directions:
        for bits in sweep.lengths:
            cells = [[scores(sweep.at(bits, x, y), metric, direction) for y in across] for x in down]
            surfaces[direction, bits] = np.array(
                [[statistics.fmean(v) if v else np.nan for v in row] for row in cells]
            )
    return surfaces


def _draw(levels: Mapping[str, Sequence[Any]], surfaces: Surfaces, title: str) -> Any:
    import seaborn
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    (down_name, down), (across_name, across) = levels.items()
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
    label_edges(places, across_name, down_name)
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
            "grey: low outliers, off the colour scale (below the first quartile by more than 1.5 times the "
            "interquartile range)"
        )


def _whisker(values: npt.NDArray[np.float64]) -> float:
    """The lowest value that is no outlier by Tukey's rule.

    >>> _whisker(np.array([0.404, 0.73, 0.74, 0.74, 0.75]))
    0.73
    """
    first, third = np.quantile(values, (0.25, 0.75))
    return float(values[values >= first - 1.5 * (third - first)].min())
