"""Figures and their renderings: PDF, SVG and PNG, and the numbers they show. They know nothing of records.

A figure is drawn when it is saved. Equal figures give equal files: no date is written, and SVG gets
its identifiers from a fixed salt. Every file carries the digest of its numbers, so that a picture can be
checked against results without comparing how two versions of matplotlib draw.
"""

from __future__ import annotations

import base64
import hashlib
import html
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.errors import ParameterError
from bench.reporting import eps, fonts, writing
from bench.reporting.style import RC
from bench.reporting.tables import csv_of

FORMATS = ("pdf", "eps", "svg", "png")
PATTERN = "{name}"  # in the name of a file: the plot's own name stands in its place
_METADATA: dict[str, tuple[str, dict[str, None]]] = {  # where the digest goes, and omitted fields
    "pdf": ("Subject", {"CreationDate": None}),
    "eps": ("Creator", {}),
    "svg": ("Description", {"Date": None}),
    "png": ("Description", {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One drawing: numbers of one protocol, which ``caption`` describes.

    ``name`` distinguishes its files from those of the figure's other plots: lower case, words joined by
    hyphens, or "". ``draw`` makes a new ``matplotlib.figure.Figure``; keep it small, for it is pickled.
    """

    name: str
    caption: tuple[str, ...]
    draw: Callable[[], Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot ready to save; keeps only a digest of its numbers.

    ``stem`` is the path of its files without their suffixes, ``rc`` are the matplotlib settings under
    which it is drawn and saved.
    """

    plot: Plot
    stem: Path
    digest: str
    rc: Mapping[str, Any]

    def save(self, formats: Sequence[str] = FORMATS) -> list[Path]:
        """Write ``STEM.FORMAT`` for every format; returns the files."""
        import matplotlib

        with matplotlib.rc_context(dict(self.rc)):
            drawn = self.plot.draw()
            fonts.fit(drawn)
            if engine := drawn.get_layout_engine():
                engine.execute(drawn)
                drawn.set_layout_engine(None)  # laid out once; with an engine every file is drawn twice
            last = sorted(
                formats, key=lambda form: form.lower() == "eps"
            )  # drawn after its colours became opaque
            files = {form: self._save(drawn, form) for form in last}
            return [files[form] for form in formats]

    def _save(self, drawn: Any, form: str) -> Path:
        out, form = self.stem.with_name(f"{self.stem.name}.{form}"), form.lower()
        name, left_out = _METADATA[form]
        metadata = {name: f"numbers {self.digest}", **left_out}
        if form == "eps":
            return writing.atomically(out, lambda path: path.write_bytes(eps.of(drawn, metadata)))
        return writing.atomically(out, lambda path: drawn.savefig(path, format=form, metadata=metadata))


@dataclass(frozen=True, kw_only=True, repr=False)
class Figure:
    """A titled series of plots, and the plain numbers that they show, one mapping per number.

    ``rc`` are the matplotlib settings under which it is drawn and saved: by default those of all
    figures. ``str(figure)`` is its captions.
    """

    title: str
    plots: tuple[Plot, ...]
    data: Sequence[Mapping[str, Any]] = ()
    rc: Mapping[str, Any] = field(default_factory=lambda: RC)

    @classmethod
    def of(cls, title: str, parts: Iterable[tuple[Plot, Iterable[Mapping[str, Any]]]]) -> Figure:
        """A figure of plots, each with its plain numbers; a plot without others needs no name."""
        plots: list[Plot] = []
        data: list[Mapping[str, Any]] = []
        for plot, numbers in parts:
            plots.append(plot)
            data += numbers
        if len(plots) == 1:
            plots = [replace(plots[0], name="")]
        return cls(title=title, plots=tuple(plots), data=data)

    def __str__(self) -> str:
        parts = ["\n".join(filter(None, (plot.name, *plot.caption, *plot.notes))) for plot in self.plots]
        return "\n\n".join([self.title, *parts])

    def to_csv(self) -> str:
        """``data`` as CSV with one header row; an absent value is an empty field."""
        return self._csv

    @cached_property
    def _csv(self) -> str:
        return csv_of(self.data)

    @property
    def digest(self) -> str:
        """Equal for equal numbers; ``numbers DIGEST`` stands in the metadata of every file."""
        return hashlib.sha256(self._csv.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<Figure: {self.title}; .save(folder, stem), .save_as(path)>"

    def _repr_html_(self) -> str | None:
        """Several plots for notebooks, each with its caption; one is a picture."""
        if len(self.plots) == 1:
            return None
        return "\n".join(
            f'<figure><img src="data:image/png;base64,{base64.b64encode(picture).decode()}" '
            f'alt="{html.escape(self.title)}" style="max-width: 100%; background: white">'
            f"<figcaption>{'<br>'.join(map(html.escape, filter(None, (plot.name, *plot.caption))))}"
            "</figcaption></figure>"
            for plot, picture in zip(self.plots, self._pictures, strict=True)
        )

    def _repr_png_(self) -> bytes | None:
        """The plot for notebooks; None where there are several."""
        return self._pictures[0] if len(self.plots) == 1 else None

    @cached_property
    def _pictures(self) -> list[bytes]:
        """Every plot as PNG."""
        with tempfile.TemporaryDirectory() as scratch:
            return [path.read_bytes() for path in self.save(Path(scratch), "plot", ("png",))]

    def drawings(self, folder: Path, stem: str) -> list[Drawing]:
        """Every plot with the path of its files, ``FOLDER/STEM[-NAME]``."""
        digest = self.digest
        return [
            Drawing(plot, folder / "-".join(filter(None, (stem, plot.name))), digest, self.rc)
            for plot in self.plots
        ]

    def save(self, folder: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[Path]:
        """Write ``STEM[-NAME].FORMAT`` for every plot and format; returns the files."""
        return [path for drawing in self.drawings(folder, stem) for path in drawing.save(formats)]

    def save_as(self, out: Path) -> list[Path]:
        """Write the plot to ``out``, whose suffix is the format; ``.csv`` takes the numbers of all plots.

        Several plots need ``{name}`` in the file's name, where each puts its own.
        """
        form = out.suffix.removeprefix(".").lower()
        if form == "csv":
            return [writing.text(named(out, ""), self.to_csv() + "\n")]
        if form not in FORMATS:
            raise ParameterError(
                f"--out {out}: a figure is written as {', '.join(FORMATS)}, and its numbers as csv. "
                "Change the suffix."
            )
        if len(self.plots) > 1 and PATTERN not in out.stem:
            names = ", ".join(plot.name for plot in self.plots)
            raise ParameterError(
                f"--out {out}: the figure has {len(self.plots)} plots ({names}); expected one, or {PATTERN} "
                f"in the file name. Give --out '{out.with_stem(f'{out.stem}-{PATTERN}')}', or "
                "filter more."
            )
        return [
            path
            for plot in self.plots
            for stem in [named(out, plot.name).with_suffix("")]
            for path in Drawing(plot, stem, self.digest, self.rc).save((out.suffix[1:],))
        ]


def named(out: Path, name: str) -> Path:
    """The path of a file whose name has ``name`` in place of the pattern, if it has one.

    >>> named(Path("fig-{name}.pdf"), "wiki").name, named(Path("fig-{name}.pdf"), "").name
    ('fig-wiki.pdf', 'fig.pdf')
    """
    if PATTERN not in out.stem:
        return out
    return out.with_stem(out.stem.replace(PATTERN, name).strip("-_") or name or "figure")
