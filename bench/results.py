"""The records of a sweep or of a store, as tables and as one tidy data frame.

May import: errors, plugins, records, reporting.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bench.errors import ParameterError
from bench.plugins import registry
from bench.records import RoundRecord, RunRecord, selector
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.figures import Figure
from bench.reporting.tables import Table

_GIVEN = ("stale", "arrays", "describe", "cast")  # to a report by Results, not by who asks for it
Describe = Callable[[RunRecord], Any]  # record → bench.data.describe.DatasetStatistics, or None


def check_options(report: str, options: Iterable[str]) -> None:
    """Raises ParameterError for an option that ``reports/<report>.py`` does not have."""
    accepted = inspect.signature(registry.get("report", report)).parameters
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return
    known = [name for name in list(accepted)[1:] if name not in _GIVEN]
    for name in options:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ParameterError(f"report {report!r} has no option {name!r}. Known: {listed}.")


class Results:
    """Records, in the order given; of two with the same spec the later one counts.

    ``stale`` maps the key of a spec to the reason why its record is out of date. ``arrays`` reads
    what is stored beside a record; only reports on histograms and codes need it. ``describe`` measures
    the dataset of a record. ``cast`` names every method of a larger study that this is a part of, but
    for references, so that each keeps its colour.
    """

    def __init__(
        self,
        records: Iterable[RunRecord],
        *,
        stale: Mapping[str, str] | None = None,
        arrays: Arrays | None = None,
        describe: Describe | None = None,
        cast: Iterable[str] = (),
    ) -> None:
        self._by_key = {record.spec.key: record for record in records}
        self.records = list(self._by_key.values())
        self.stale = dict(stale or {})
        self.arrays = arrays if arrays is None or isinstance(arrays, Evidence) else Evidence(arrays)
        self.describe = describe
        self.cast = tuple(dict.fromkeys([*cast, *(r.spec.label for r in self.records if not r.reference)]))

    def table(self, metric: str = "map", *, report: str = "map_table", **options: Any) -> Table:
        """Let ``reports/<report>.py`` make a table; ``options`` are its own.

        A report on anything but one metric does not read ``metric``.
        """
        table: Table = self.render(report, metric=metric, **options)
        return table

    def figure(self, report: str, **options: Any) -> Figure:
        """Let ``reports/<report>.py`` draw; ``options`` are its own."""
        figure: Figure = self.render(report, **options)
        return figure

    def render(self, report: str, *, metric: str = "map", **options: Any) -> Any:
        """What ``reports/<report>.py`` makes of the records: a table or a figure."""
        check_options(report, options)
        render = registry.get("report", report)
        accepted = inspect.signature(render).parameters
        offered = {
            "metric": metric,
            "stale": self.stale,
            "arrays": self.arrays,
            "describe": self.describe,
            "cast": self.cast,
        }
        given = {name: value for name, value in offered.items() if name in accepted}
        return render(self.records, **(given | options))

    def frame(self) -> Any:
        """A ``pandas.DataFrame`` with one row per cell, round, metric and direction.

        Metrics have a direction. Costs do not: ``seconds:fit``, ``bits_rewritten``, ``state_bytes``
        and so on, direction "". A cell without numbers is one row that has its ``status`` and
        ``reason`` and no value.
        """
        import pandas as pd

        columns: dict[str, list[Any]] = {name: [] for name in (*_CELL, *_ROUND)}
        for key, record in self._by_key.items():
            numbers = [number for r in record.rounds for number in _numbers(r)] or [_NOTHING]
            for name, value in zip(_CELL, _cell(key, record, self.stale.get(key, "")), strict=True):
                columns[name] += [value] * len(numbers)
            for name, values in zip(_ROUND, zip(*numbers, strict=True), strict=True):
                columns[name] += values
        frame = pd.DataFrame(columns)
        return frame.astype({"round": "Int64", "items": "Int64", "queries": "Int64", "value": "float64"})

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.records)

    def __repr__(self) -> str:
        return f"<Results: {len(self)} records; .table(), .frame()>"

    def _repr_markdown_(self) -> str:
        return self.table().to_markdown() if self.records else repr(self)


_CELL = (
    *("method", "dataset", "bits", "schedule", "seed", "database", "pool", "val", "evaluate"),
    *("labelled", "paired", "fidelity", "status", "reason", "stale", "data", "code", "key"),
)
_ROUND = ("round", "items", "queries", "direction", "metric", "value")
_NOTHING = (None, None, None, "", "", None)


def _cell(key: str, record: RunRecord, stale: str) -> tuple[Any, ...]:
    """The values of ``_CELL``, which all rows of one record share."""
    s = record.spec
    protocol = (str(s.schedule), s.seed, s.database, s.pool, s.val, s.evaluate, s.labelled, s.paired)
    outcome = (record.fidelity, record.status, record.reason, stale, record.data, record.code, key)
    return (s.label, selector(s.dataset, s.dataset_params), s.bits, *protocol, *outcome)


def _numbers(r: RoundRecord) -> Iterator[tuple[Any, ...]]:
    """The values of ``_ROUND`` for everything that one round measured."""
    common = (r.round, r.items, r.queries)
    for key, value in r.metrics.items():
        metric, _, direction = key.rpartition("/")
        yield (*common, direction, metric, value)
    for direction, count in r.empty_queries.items():
        yield (*common, direction, "empty_queries", count)
    costs = {f"seconds:{stage}": value for stage, value in r.seconds.items()}
    for name, cost in {**costs, "bits_rewritten": r.bits_rewritten, "state_bytes": r.state_bytes}.items():
        yield (*common, "", name, cost)
