"""How every figure looks: one style, and for every method its own colour, marker and dash.

The first colours are the colour-blind safe ones of seaborn, the others dark or strong ones between them;
grey and black are kept for references and chance. Figures are drawn as wide as they are printed, one of two
columns or the page, so that their letters keep their size.
"""

from __future__ import annotations

import functools
import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMN_WIDTH = 3.5  # inches, of one of two columns
PAGE_WIDTH = 6.6  # inches, of a page's text
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, and has → λ ≤
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,  # text stays text, in fonts that journals accept
    "ps.fonttype": 42,
    "text.parse_math": False,  # a method may be called with $ in its parameters
    "svg.fonttype": "none",
    "svg.hashsalt": "hashbench",
}
CHANCE: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1.5)), "linewidth": 1.0}
COLOURS = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161"),
    *("#332288", "#882255", "#999933", "#e6399b", "#117733", "#8c6bff", "#b30000"),
)
_MARKERS = "osD^vPX<>*"
_REFERENCE_MARKERS = "+x12"
_DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1)))
_GREYS = {"oracle": "#555555", "real-valued": "#999999"}


@dataclass(frozen=True, slots=True)
class Look:
    """How a method is drawn, distinguishable also without colour."""

    color: Any
    marker: str
    linestyle: Any

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.color, "linestyle": self.linestyle}

    @property
    def points(self) -> dict[str, Any]:
        """A line with its marker."""
        edge = self.color if self.marker in _REFERENCE_MARKERS else "white"
        return {**self.line, "marker": self.marker, "markeredgecolor": edge, "markeredgewidth": 0.5}


def places(labels: Iterable[str]) -> dict[str, int]:
    """The number of every method's look, from 0.

    Methods of the default study keep their place in every study. The others take the free ones, in order
    of appearance.

    >>> places(["mine", "ukd", "lcdh[alpha=1.0]", "lcdh"])
    {'mine': 2, 'ukd': 1, 'lcdh[alpha=1.0]': 3, 'lcdh': 0}
    """
    labels = list(dict.fromkeys(labels))
    kept = {name: i for i, name in enumerate(_default_methods()) if name in labels}
    free = (i for i in itertools.count() if i not in kept.values())
    return {label: kept[label] if label in kept else next(free) for label in labels}


@functools.cache
def _default_methods() -> tuple[str, ...]:
    study = Path(__file__).parents[1] / "default.toml"
    return tuple(tomllib.loads(study.read_text(encoding="utf-8"))["methods"])


def looks(places: Mapping[str, int], references: Mapping[str, str]) -> dict[str, Look]:
    """The look of every rival, by its place, and of every reference, by its kind."""
    styles = {}
    for label, i in places.items():
        dash = _DASHES[i // len(COLOURS) % len(_DASHES)]
        styles[label] = Look(COLOURS[i % len(COLOURS)], _MARKERS[i % len(_MARKERS)], dash)
    for i, (label, kind) in enumerate(references.items()):
        styles[label] = Look(_GREYS.get(kind, "#777777"), _REFERENCE_MARKERS[i % 4], (0, (6, 1, 1, 1)))
    return styles


def grid(rows: int, columns: int, *, height: float = 1.75, **options: Any) -> tuple[Any, Any]:
    """A new figure and its axes (rows, columns): one column of a page wide for two of them, else a page."""
    from matplotlib.figure import Figure as Canvas

    width = COLUMN_WIDTH if columns <= 2 else PAGE_WIDTH
    canvas = Canvas(figsize=(width, height * rows + 0.1), layout="constrained")
    return canvas, canvas.subplots(rows, columns, squeeze=False, **options)


def by_direction(
    directions: Sequence[Any], lengths: Sequence[int], **options: Any
) -> tuple[Any, Any, dict[Any, Any]]:
    """A grid of directions down and code lengths across, side by side where there is one length.

    Returns the figure, its axes as a grid, and its axes by (direction, bits).
    """
    if len(lengths) == 1:
        canvas, places = grid(1, len(directions), **options)
        return canvas, places, {(d, lengths[0]): places[0, i] for i, d in enumerate(directions)}
    canvas, places = grid(len(directions), len(lengths), **options)
    at = {(d, b): places[i, j] for i, d in enumerate(directions) for j, b in enumerate(lengths)}
    return canvas, places, at


def log_ticks(axis: Any, values: Sequence[float]) -> None:
    """Plain numbers as ticks of a logarithmic axis: at 1, 2 and 5 where it spans less than two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    narrow = max(values) < 100 * min(values)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=5 if narrow else 6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def point_ticks(axis: Any, values: Sequence[float]) -> None:
    """Plain numbers as ticks at the values themselves."""
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    axis.set_major_locator(FixedLocator(sorted(set(values))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(ScalarFormatter())


def legend(canvas: Any, axes: Any) -> None:
    """One legend for all axes, for which the figure grows: every name once, in order of appearance."""
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if not handles:
        return
    width, height = canvas.get_size_inches()
    most = max(1, min(6, int(width / (0.062 * max(map(len, handles)) + 0.45)), len(handles)))
    rows = math.ceil(len(handles) / most)
    columns = math.ceil(len(handles) / rows)  # as many in every row
    canvas.set_size_inches(width, height + 0.17 * rows + 0.15)
    canvas.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
        handlelength=1.8,
        columnspacing=1.2,
    )


def label_edges(axes: Any, x: str, y: str) -> None:
    """Names of the axes at the edge of the grid only."""
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for row in axes:
        row[0].set_ylabel(y)
