"""A study file as `bench report` reads it: sections, each a study and its reports.

A study file may have ``title``, ``reports`` and sections. Each section is a study, and takes the
options that it leaves out from the head of the file (docs/reports.md).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bench
from bench.errors import ParameterError, UnknownNameError
from bench.records import AXES, quoted
from bench.reporting import options as report_options
from bench.study import ablation, grid
from bench.study.planned import PlannedCell
from bench.study.planner import Planner
from bench.study.study import TUNED, Study, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One report and its options; an ``optional`` one is left out, with a note, if it does not apply."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False

    @property
    def stem(self) -> str:
        """The name of its files; options distinguish two requests for the same report."""
        return slug("-".join([self.name, *(f"{k}-{v}" for k, v in self.options.items() if v is not True)]))


# The reports of a study file that names none: all that have something to show.
_TABLES = ("average", "significance", "wins", "backward", "timing", "scale", "datasets")
_FIGURES = (
    *("critical", "bits", "learning", "forgetting", "pr_radius", "pr_rank", "precision_at"),
    *("pareto", "rehash", "stages", "health"),
)
DEFAULT = (
    Request(name="map_table", options={"significance": True}, optional=True),
    *(Request(name=name, optional=True) for name in (*_TABLES, *_FIGURES)),
)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report: the cells of a study, of an ablation or of a grid over parameters.

    ``ablate`` names variants of the study's one method, and is empty for all; ``grid`` has one or two
    NAME=VALUES. With ``streams`` the study runs once for each of them, with the values that it gives axes.
    ``study`` is None for a section of stored results.
    """

    title: str
    requests: tuple[Request, ...] = DEFAULT
    study: Study | None = None
    ablate: tuple[str, ...] | None = None
    grid: tuple[str, ...] = ()
    streams: tuple[Mapping[str, Any], ...] = ()

    def plan(self, planner: Planner) -> tuple[Study, list[PlannedCell], dict[str, Any]]:
        """How to run, the cells, and what :class:`bench.results.Results` needs to know of them besides."""
        assert self.study is not None, "stored results are not planned"
        if self.grid:
            study, axes = grid.over(planner, self.study, self.grid)
            return study, planner.cells(study), {"swept": axes}
        if self.ablate is not None:
            plan = ablation.plan(planner, self.study, self.ablate or None)
            return self.study, plan.cells, {"contrasts": plan.contrasts}
        studies = [self.study.but(**axes) for axes in self.streams] or [self.study]
        cells = {cell.spec.key: cell for study in studies for cell in planner.cells(study)}
        return self.study, list(cells.values()), {}


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of one study file."""

    title: str
    sections: tuple[Section, ...]
    command: str  # to make it again

    def only(self, title: str) -> Document:
        """The document with one of its sections; raises UnknownNameError for a title that none has."""
        chosen = tuple(section for section in self.sections if section.title == title)
        if not chosen:
            raise UnknownNameError("section of the study", title, [s.title for s in self.sections])
        return replace(self, sections=chosen, command=f"{self.command} --section {shlex.quote(title)}")


def find(name: str) -> Path:
    """The study file at this path, or the one of this name in ``reports/studies``.

    Raises UnknownNameError for a name that no study has.
    """
    if name.endswith(".toml") or "/" in name:
        return Path(name)
    folders = [Path(home) / "reports" / "studies" for home in bench.__path__]
    known = {file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}
    if name not in known:
        raise UnknownNameError("study", name, known)
    return known[name]


def load(name: str | Path, **options: Any) -> Document:
    """Read the study file that :func:`find` finds; ``options`` not None override it in every section."""
    file = find(str(name))
    content = {name: value for name, value in read(file).items() if name != TUNED}
    title = _text(file, content, "title", file.stem)
    shared = _requests(file, content)
    parts = content.pop("section", [])
    if not (isinstance(parts, list) and all(isinstance(p, dict) for p in parts)):
        raise ParameterError(f"study file {file}: section is not a list of tables. Write [[section]].")
    sections = []
    for part in parts or [{}]:
        heading = _text(file, part, "title", "" if part else title)
        if not heading:
            raise ParameterError(f"study file {file}: a [[section]] has no title. Give it one.")
        requests = _requests(file, part) or shared or DEFAULT
        ablate, axes, streams = _ablate(file, part), _grid(file, part), _streams(file, part)
        study = Study.of({**content, **part, **{k: v for k, v in options.items() if v is not None}})
        study.add_plugins()  # reports may be among them
        for request in requests:
            if not request.optional:  # an unknown report or option stops here, before anything runs
                report_options.checked(request.name, request.options)
        offers: dict[str, Any] = {"ablate": ablate, "grid": axes, "streams": streams}
        sections.append(Section(title=heading, requests=requests, study=study, **offers))
    titles = [slug(section.title) for section in sections]
    twice = next((s.title for s, t in zip(sections, titles, strict=True) if titles.count(t) > 1), None)
    if twice is not None:
        raise ParameterError(f"study file {file}: two sections are called {twice!r}. Rename one.")
    return Document(title=title, sections=tuple(sections), command=f"bench report {name}")


def _text(file: Path, values: dict[str, Any], name: str, default: str) -> str:
    value = values.pop(name, default)
    if not isinstance(value, str) or not value.isprintable():
        raise ParameterError(f"study file {file}: {name} must be text in one line; got {value!r:.60}.")
    return value


def _ablate(file: Path, values: dict[str, Any]) -> tuple[str, ...] | None:
    """``ablate``: true, or the names of variants."""
    given = values.pop("ablate", False)
    if isinstance(given, bool):
        return () if given else None
    if isinstance(given, list) and given and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise ParameterError(
        f"study file {file}: ablate = {given!r} is neither true nor a list of variants. `bench info METHOD` "
        "names them."
    )


def _grid(file: Path, values: dict[str, Any]) -> tuple[str, ...]:
    """``grid``: a table of names, each with its list of values."""
    given = values.pop("grid", {})
    if not (isinstance(given, dict) and all(isinstance(v, list) and v for v in given.values())):
        raise ParameterError(
            f"study file {file}: grid = {given!r}, expected a list of values for each name. Write "
            "grid = { lambda1 = [0.1, 1], lambda2 = [0.1, 1] }."
        )
    return tuple(f"{name}={','.join(_listed(name, listed))}" for name, listed in given.items())


def _listed(name: str, values: Sequence[Any]) -> Iterable[str]:
    """Values as a grid has them: those of parameters in quotes where they would be cut otherwise."""
    return map(str if name in AXES else quoted, values)


def _streams(file: Path, values: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """``streams``: a list of tables, each with values of axes; an empty one changes nothing."""
    given = values.pop("streams", [])
    if not (isinstance(given, list) and all(isinstance(axes, dict) for axes in given)):
        raise ParameterError(
            f"study file {file}: streams = {given!r:.60}, expected a list of tables. Write "
            'streams = [{}, { noise = "sym:0.4" }].'
        )
    for name in (name for axes in given for name in axes if name not in AXES):
        raise UnknownNameError(f"axis of a stream in study file {file}", name, AXES)
    return tuple(given)


def _requests(file: Path, values: dict[str, Any]) -> tuple[Request, ...]:
    """``reports``: names, or tables of a name and options."""
    found = []
    listed = values.pop("reports", [])
    if not isinstance(listed, list):
        raise ParameterError(f"study file {file}: reports = {listed!r} is not a list. Write [{listed!r}].")
    for entry in listed:
        options = dict(entry) if isinstance(entry, dict) else {"name": entry}
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise ParameterError(
                f'study file {file}: {entry!r} is not the name of a report. Write "map_table" or '
                '{ name = "map_table", metric = "map@50" }.'
            )
        found.append(Request(name=name, options=options))
    return tuple(found)


def slug(text: str) -> str:
    """Text as part of a file name.

    >>> slug("mAP@50, I→T")
    'map-50-i-t'
    """
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-") or "section"
