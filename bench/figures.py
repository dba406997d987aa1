"""One figure and its renderings: PDF, SVG and PNG, and the numbers behind it. It knows nothing of records.

A figure is drawn when it is saved. Equal figures give equal files: no date is written, and SVG gets
its identifiers from a fixed salt. Every file carries the digest of the numbers behind it, so that a
picture can be checked against results without comparing how two versions of matplotlib draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import writing
from bench.errors import ParameterError
from bench.tables import csv_of

FORMATS = ("pdf", "svg", "png")
_METADATA: dict[str, tuple[str, dict[str, None]]] = {  # where the digest goes, and what is left out
    "pdf": ("Subject", {"CreationDate": None}),
    "svg": ("Description", {"Date": None}),
    "png": ("Description", {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One drawing: numbers of one protocol, which ``caption`` tells.

    ``name`` tells it from the others of its figure: lower case, words joined by hyphens; it may be "".
    ``draw`` makes a new ``matplotlib.figure.Figure``.
    """

    name: str
    caption: tuple[str, ...]
    draw: Callable[[], Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A titled series of plots, and the plain numbers behind them, one mapping per number.

    ``rc`` are the matplotlib settings under which it is drawn and saved. ``str(figure)`` is its
    captions.
    """

    title: str
    plots: tuple[Plot, ...]
    data: Sequence[Mapping[str, Any]] = ()
    rc: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = ["\n".join(filter(None, (plot.name, *plot.caption, *plot.notes))) for plot in self.plots]
        return "\n\n".join([self.title, *parts])

    def to_csv(self) -> str:
        """``data`` as CSV with one header row; an absent value is an empty field."""
        return csv_of(self.data)

    @property
    def digest(self) -> str:
        """Equal for equal numbers; ``numbers DIGEST`` stands in the metadata of every file."""
        return hashlib.sha256(self.to_csv().encode()).hexdigest()[:16]

    def save(self, folder: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[Path]:
        """Write ``STEM[-NAME].FORMAT`` for every plot and format; returns the files."""
        import matplotlib

        found = []
        with matplotlib.rc_context(dict(self.rc)):
            for plot in self.plots:
                drawn = plot.draw()
                drawn.draw_without_rendering()  # lays it out
                drawn.set_layout_engine("none")  # once, and not for every format
                for form in formats:
                    out = folder / f"{'-'.join(filter(None, (stem, plot.name)))}.{form}"
                    found.append(writing.whole(out, _saver(drawn, form, self.digest)))
        return found

    def save_as(self, out: Path) -> list[Path]:
        """Write every plot to ``out``, whose suffix is the format; several get their names appended."""
        form = out.suffix.removeprefix(".")
        if form not in FORMATS:
            raise ParameterError(
                f"--out {out}: a figure is written as {', '.join(FORMATS)}. Change its suffix."
            )
        return self.save(out.parent, out.stem, (form,))


def _saver(drawn: Any, form: str, digest: str) -> Callable[[Path], Any]:
    name, left_out = _METADATA[form]
    metadata = {name: f"numbers {digest}", **left_out}
    return lambda path: drawn.savefig(path, format=form, metadata=metadata)
