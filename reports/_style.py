"""How every figure looks: one style, and for every method a colour, marker and dash of its own.

Colours are the colour-blind safe ones of seaborn; grey and black are kept for what is no rival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.records import RunRecord
from bench.reporting.figures import Figure, Plot
from bench.study.looks import places

WIDTH = 6.6  # inches, of a page's text
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
_ORDER = (0, 1, 2, 3, 4, 9, 5)  # of seaborn's colours; yellow and pink are too light for lines
_MARKERS = "osD^vPX<>*"
_DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1)))
_GREYS = {"oracle": "#555555", "real-valued": "#999999"}


@dataclass(frozen=True, slots=True)
class Look:
    """What tells a method from the others, also without colour."""

    color: Any
    marker: str
    linestyle: Any

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.color, "linestyle": self.linestyle}

    @property
    def points(self) -> dict[str, Any]:
        """A line with its marker."""
        return {**self.line, "marker": self.marker, "markeredgecolor": "white", "markeredgewidth": 0.4}


def looks(records: Iterable[RunRecord], cast: Sequence[str]) -> dict[str, Look]:
    """The look of every method. ``cast`` are the rivals of the whole study, so that each keeps its own."""
    import seaborn

    colours = seaborn.color_palette("colorblind")
    kinds = {r.spec.label: r.reference for r in records}
    rivals = [label for label in dict.fromkeys([*cast, *kinds]) if not kinds.get(label, "")]
    found = {}
    for label, i in places(rivals).items():
        dash = _DASHES[i // len(_ORDER) % len(_DASHES)]
        found[label] = Look(colours[_ORDER[i % len(_ORDER)]], _MARKERS[i % len(_MARKERS)], dash)
    for label, kind in kinds.items():
        if kind:
            found[label] = Look(_GREYS.get(kind, "#777777"), "", (0, (6, 1, 1, 1)))
    return found


def figure(title: str, plots: Sequence[Plot], data: Sequence[Mapping[str, Any]]) -> Figure:
    """Plots in the style of all figures."""
    return Figure(title=title, plots=tuple(plots), data=data, rc=RC)


def grid(rows: int, columns: int, *, height: float = 1.75, **options: Any) -> tuple[Any, Any]:
    """A new figure and its axes (rows, columns); narrower than the page where there are few columns."""
    from matplotlib.figure import Figure as Canvas

    width = min(WIDTH, 0.6 + 2.4 * columns)
    canvas = Canvas(figsize=(width, height * rows + 0.1), layout="constrained")
    return canvas, canvas.subplots(rows, columns, squeeze=False, **options)


def by_direction(
    directions: Sequence[Any], lengths: Sequence[int], **options: Any
) -> tuple[Any, Any, dict[Any, Any]]:
    """A grid of directions down and code lengths across, side by side where there is one length.

    Returns the figure, the axes as they stand, and the axes by (direction, bits).
    """
    if len(lengths) == 1:
        canvas, places = grid(1, len(directions), **options)
        return canvas, places, {(d, lengths[0]): places[0, i] for i, d in enumerate(directions)}
    canvas, places = grid(len(directions), len(lengths), **options)
    found = {(d, b): places[i, j] for i, d in enumerate(directions) for j, b in enumerate(lengths)}
    return canvas, places, found


def log_ticks(axis: Any, values: Sequence[float]) -> None:
    """Plain numbers as ticks of a logarithmic axis: at 1, 2 and 5 where it spans less than two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    narrow = max(values) < 100 * min(values)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=5 if narrow else 6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(canvas: Any, axes: Any) -> None:
    """One legend for all axes, for which the figure grows: every name once, in order of appearance."""
    found: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    width, height = canvas.get_size_inches()
    columns = max(1, min(5, int(width / (0.065 * max(map(len, found)) + 0.55)), len(found)))
    canvas.set_size_inches(width, height + 0.17 * -(-len(found) // columns) + 0.15)
    canvas.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)
