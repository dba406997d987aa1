"""The contract of a report, one function per demand: it raises where the demand is not met."""

from __future__ import annotations

import copy
import inspect
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.checks import runs
from bench.checks.faces import it_imports_only_the_faces
from bench.errors import BenchError, ContractError
from bench.plugins import registry
from bench.reporting.figures import Figure
from bench.reporting.results import Results
from bench.reporting.tables import Table

_FORMS = ("to_text", "to_markdown", "to_csv", "to_latex", "to_html")


class Rendered:
    """A report by name, and what it makes of the first study that it is for."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def study(self) -> str:
        """The first study that it does not refuse: a report may be for parameter sweeps alone."""
        refused = []
        for study in runs.STUDIES:
            try:
                runs.results(study).render(self.name)
            except BenchError as error:
                refused.append(f"{study}: {error}")
            else:
                return study
        raise ContractError(f"report {self.name} refuses every study made here: {refused[0]}")

    @cached_property
    def made(self) -> Any:
        return runs.results(self.study).render(self.name)


def it_has_a_docstring(rendered: Rendered) -> None:
    doc = inspect.getdoc(registry.get("report", rendered.name))
    _require(bool(doc), f"report {rendered.name}: render() has no docstring. Say what it shows.")


def it_imports_nothing_but_the_faces(rendered: Rendered) -> None:
    it_imports_only_the_faces("report", rendered.name)


def it_makes_a_table_or_a_figure(rendered: Rendered) -> None:
    """Of a few cells with histograms and codes."""
    _require(
        isinstance(rendered.made, (Table, Figure)),
        f"report {rendered.name}: render() returned a {type(rendered.made).__name__}; expected a Table or a "
        "Figure of bench.reporting.",
    )


def it_can_be_written_in_every_form(rendered: Rendered) -> None:
    made = rendered.made
    if isinstance(made, Table):
        for form in _FORMS:
            _require(bool(getattr(made, form)()), f"report {rendered.name}: {form}() of its table is empty.")
        return
    with tempfile.TemporaryDirectory() as folder:
        written = made.save(Path(folder), "figure", ("svg",))
        _require(bool(written), f"report {rendered.name}: its figure writes no file.")


def it_changes_no_record(rendered: Rendered) -> None:
    results = runs.results(rendered.study)
    before = copy.deepcopy(results.records)
    results.render(rendered.name)
    _require(
        results.records == before, f"report {rendered.name}: render() changes the records. Work on a copy."
    )


def a_failed_cell_stops_nothing(rendered: Rendered) -> None:
    runs.results(rendered.study, failed=True).render(rendered.name)


def it_says_so_where_there_is_nothing_to_show(rendered: Rendered) -> None:
    """It may make an empty table, or raise one of bench.errors; anything else is a bug."""
    try:
        Results([]).render(rendered.name)
    except BenchError as error:
        _require(
            bool(str(error)), f"report {rendered.name}: raises {type(error).__name__} without a message."
        )


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise ContractError(message)


ALL: Sequence[Callable[[Rendered], None]] = (
    it_has_a_docstring,
    it_imports_nothing_but_the_faces,
    it_makes_a_table_or_a_figure,
    it_can_be_written_in_every_form,
    it_changes_no_record,
    a_failed_cell_stops_nothing,
    it_says_so_where_there_is_nothing_to_show,
)
