"""Records of a sweep or of a results folder, and everything that a report may ask about them."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.contract.params import parameters
from bench.errors import BenchError, ParameterError, UnknownNameError
from bench.isolation import declarations
from bench.plugins import registry
from bench.records import PARTS, SINCE, Contrast, IndexRecord, RoundRecord, RunRecord, RunSpec
from bench.reporting import options, style
from bench.reporting.evidence import Evidence, Loader
from bench.reporting.figures import Figure
from bench.reporting.names import distinct
from bench.reporting.references import Reference
from bench.reporting.tables import Table

if TYPE_CHECKING:
    from bench.contract.method import Method
    from bench.data.describe import DatasetStatistics

_PRINTED = {"band": False, "average": True}  # options of reports, in a paper
Describe = Callable[[RunRecord], "DatasetStatistics | None"]
Indexes = Callable[[RunRecord], IndexRecord | None]  # reads what `bench index` stored beside a record


class Results:
    """Records in the order given; of two with the same spec the later one counts.

    ``stale`` maps the key of a spec to the reason why its record is out of date, ``arrays`` reads the
    histograms and codes stored beside a record, ``describe`` measures its dataset, ``indexes`` reads its
    measured indexes. ``cast`` are the methods
    of a larger study, so that each keeps its colour in every part, ``contrasts`` the rows of an ablation,
    ``swept`` the parameters and axes of a grid. ``items`` is the part of the database that scores are over
    where methods were not trained on all of it: ``unseen``, ``trained`` or ``all``.
    """

    def __init__(
        self,
        records: Iterable[RunRecord],
        *,
        stale: Mapping[str, str] | None = None,
        arrays: Loader | None = None,
        describe: Describe | None = None,
        indexes: Indexes | None = None,
        cast: Iterable[str] = (),
        contrasts: Sequence[Contrast] = (),
        swept: Sequence[str] = (),
        items: str = "unseen",
    ) -> None:
        if items not in PARTS:
            raise UnknownNameError("part of the database", items, PARTS)
        self.items = items
        by_key = {record.spec.key: record.over(items) for record in records}
        self.records = distinct(list(by_key.values()))
        self._by_key = dict(zip(by_key, self.records, strict=True))
        self.stale = dict(stale or {})
        self.evidence = arrays if isinstance(arrays, Evidence) else Evidence(arrays)
        labels = dict.fromkeys([*cast, *(record.spec.label for record in self.records)])
        self.cast = tuple(label for label in labels if label not in self.references)
        self.contrasts, self.swept = tuple(contrasts), tuple(swept)
        self._describe, self._indexes = describe, indexes
        self._measured: dict[str, IndexRecord | None] = {}
        self._methods: dict[str, type[Method] | None] = {}
        self._schedules: dict[str, str] = {}  # dataset → its default

    def but(self, **changes: Any) -> Results:
        """The same results with other arguments: ``but(records=some, contrasts=rows)``."""
        names = ("records", "stale", "cast", "contrasts", "swept", "items")
        same = {name: getattr(self, name) for name in names}
        readers = {"arrays": self.evidence, "describe": self._describe, "indexes": self._indexes}
        return Results(**{**same, **readers, **changes})

    def select(self, keep: Callable[[RunRecord], bool]) -> Results:
        """The same results with only those records for which ``keep`` is true."""
        return self.but(records=filter(keep, self.records))

    def filter(self, **wanted: Any) -> Results:
        """The same results with the cells whose fields have these values, each one or a list of them.

        Fields are those of :class:`bench.records.RunSpec`, ``method`` and ``dataset`` by the name that is
        shown or by the plugin's, and ``status``: ``filter(method=["lcdh", "ukd"], bits=16)``. Raises
        UnknownNameError for another field.
        """
        known = [*RunSpec.__dataclass_fields__, "status"]
        for name in wanted:
            if name not in known:
                raise UnknownNameError("field of a cell", name, known)
        return self.select(lambda record: all(_has(record, *one) for one in wanted.items()))

    def cell(self, **wanted: Any) -> RunRecord:
        """The one cell whose fields have these values, as in :meth:`filter`: ``cell(method="ukd", bits=16)``.

        Raises ParameterError where there is none, or more than one.
        """
        records = self.filter(**wanted).records
        if len(records) != 1:
            asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
            varied = [name for name in _VARIED if len({str(getattr(r.spec, name)) for r in records}) > 1]
            advice = f"Give {', '.join(varied)} too." if varied else "See .frame() for the cells."
            raise ParameterError(f"{len(records)} of {len(self)} cells have {asked}; expected one. {advice}")
        return records[0]

    def statistics(self, record: RunRecord) -> DatasetStatistics | None:
        """Statistics of a record's dataset; None where its files are missing or have changed since."""
        return self._describe(record) if self._describe else None

    def index(self, record: RunRecord) -> IndexRecord | None:
        """The measured indexes of a record's codes; None where `bench index` has not measured them."""
        if self._indexes is None or not record.arrays:
            return None
        if record.spec.key not in self._measured:
            self._measured[record.spec.key] = self._indexes(record)
        return self._measured[record.spec.key]

    @cached_property
    def references(self) -> dict[str, str]:
        """Label → kind (a key of REFERENCES) of the methods that are no rivals."""
        return {r.spec.label: r.reference for r in self.records if r.reference}

    @cached_property
    def places(self) -> dict[str, int]:
        """The number of every rival's look, from 0: the same in figures and on pages."""
        return style.places(self.cast)

    @cached_property
    def looks(self) -> dict[str, style.Look]:
        """Colour, marker and dash of every method, by label."""
        return style.looks(self.places, self.references)

    def own_schedule(self, spec: RunSpec) -> bool:
        """Whether a cell runs the default schedule of its dataset; False where that is not installed."""
        if spec.dataset not in self._schedules:
            try:
                self._schedules[spec.dataset] = registry.get("dataset", spec.dataset).schedule
            except BenchError:
                self._schedules[spec.dataset] = ""
        return spec.schedule.form == self._schedules[spec.dataset]

    def method(self, name: str) -> type[Method] | None:
        """The class of a method; None where it is not installed or cannot be imported."""
        if name not in self._methods:
            try:
                self._methods[name] = declarations.method(name)
            except BenchError:
                self._methods[name] = None
        return self._methods[name]

    def installed_methods(self) -> dict[str, type[Method]]:
        """Every installed method by name, whether it has records or not."""
        return {name: cls for name in registry.names("method") if (cls := self.method(name)) is not None}

    def defaults(self, name: str) -> dict[str, Any]:
        """The defaults of a method's parameters. Raises UnknownNameError where it is not installed."""
        known = parameters(declarations.method(name))
        return {parameter.name: parameter.default for parameter in known.values()}

    def render(self, report: str, **chosen: Any) -> Any:
        """The table, figure or other object that ``reports/<report>.py`` makes of these results.

        Raises ParameterError for an option that the report does not have, for a value that it does not
        accept, and where these results have nothing that it could show.
        """
        values = options.checked(report, chosen)
        try:
            made = registry.get("report", report)(self, **values)
        except ParameterError as error:
            raise ParameterError(f"report {report!r}: {error}") from error
        if (isinstance(made, Table) and not made.blocks) or (isinstance(made, Figure) and not made.plots):
            raise ParameterError(f"report {report!r}: none of {len(self)} cells has numbers to show.")
        return made

    def printed(self, report: str, **chosen: Any) -> Any:
        """The same for a paper: without the bands of tied items and with an average, if not ``chosen``."""
        known = options.declared(report)
        return self.render(report, **{name: v for name, v in _PRINTED.items() if name in known} | chosen)

    def differs_in_print(self, report: str) -> bool:
        """Whether :meth:`printed` makes another table than :meth:`render`."""
        return bool(_PRINTED.keys() & options.declared(report).keys())

    def citations(self) -> dict[str, Reference]:
        """Label → paper of the methods that name one and are installed."""
        classes = {r.spec.label: self.method(r.spec.method) for r in self.records}
        papers = {label: cls.source.paper for label, cls in classes.items() if cls is not None}
        return {label: Reference.of(paper) for label, paper in papers.items() if paper}

    def table(self, metric: str | None = None, *, report: str = "map_table", **chosen: Any) -> Table:
        """The table that a report makes; ``chosen`` are its options, ``metric`` one of them."""
        table: Table = self.render(report, **({} if metric is None else {"metric": metric}), **chosen)
        return table

    def figure(self, report: str, **chosen: Any) -> Figure:
        """The figure that a report draws; ``chosen`` are its options."""
        figure: Figure = self.render(report, **chosen)
        return figure

    plot = figure  # as notebooks say it: results.plot("bits")

    def frame(self) -> Any:
        """A ``pandas.DataFrame`` with one row per cell, round, part of the database, metric and direction.

        Metrics have a direction. Costs do not: ``seconds:fit``, ``bits_rewritten``, ``state_bytes``
        and so on, direction "". A cell without numbers is one row that has its ``status`` and
        ``reason`` and no value.
        """
        import pandas as pd

        columns: dict[str, list[Any]] = {name: [] for name in (*_CELL, *_ROUND)}
        for key, record in self._by_key.items():
            numbers = [number for r in record.over("all").rounds for number in _numbers(r)] or [_NOTHING]
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

    def _repr_html_(self) -> str:
        """The table of mAP in a notebook, or one line where no cell has numbers."""
        with suppress(ParameterError):
            return self.table()._repr_html_()
        return f"<p>{html.escape(repr(self))}</p>"


_CELL = (
    *("method", "dataset", "bits", "schedule", "seed", "database", "pool", "val", "evaluate"),
    *(
        *SINCE,
        "fidelity",
        "contract",
        "status",
        "reason",
        "stale",
        "data",
        "code",
        "key",
    ),
)
_ROUND = ("round", "searched", "items", "queries", "direction", "metric", "value")
_VARIED = (  # what may tell two cells apart
    *("method", "params", "dataset", "dataset_params", "bits", "seed", "schedule", "database", "pool"),
    *("labelled", "paired", "train", "val", "evaluate", "directions"),
)
_NOTHING = (None, "", None, None, "", "", None)


def _has(record: RunRecord, name: str, wanted: Any) -> bool:
    """Whether a field of a cell has a value, or one of a list of values."""
    spec = record.spec
    names = {"method": (spec.method, spec.label), "dataset": (spec.dataset, spec.dataset_label)}
    value = record.status if name == "status" else getattr(spec, name)
    values = names.get(name, (value, str(value)))
    return any(one in values for one in (wanted if isinstance(wanted, (list, tuple, set)) else [wanted]))


def _cell(key: str, record: RunRecord, stale: str) -> tuple[Any, ...]:
    """The values of ``_CELL``, which all rows of one record share."""
    s = record.spec
    protocol = (str(s.schedule), s.seed, s.database, s.pool, s.val, s.evaluate)
    newer = (getattr(s, name) for name in SINCE)
    origin = (record.fidelity, record.breach)
    outcome = (*origin, record.status, record.reason, stale, record.data, record.code, key)
    return (s.label, s.dataset_label, s.bits, *protocol, *newer, *outcome)


def _numbers(r: RoundRecord) -> Iterator[tuple[Any, ...]]:
    """The values of ``_ROUND`` for every number of one round, over all items and over each part of them."""
    for part in ("all", *r.parts):
        shown = r.over(part)
        common = (r.round, part, shown.items, r.queries)
        for key, value in shown.metrics.items():
            metric, _, direction = key.rpartition("/")
            yield (*common, direction, metric, value)
        for direction, count in shown.empty_queries.items():
            yield (*common, direction, "empty_queries", count)
    for part, scores in r.deleted.items():
        for key, value in scores.metrics.items():
            metric, _, direction = key.rpartition("/")
            yield (r.round, f"deleted {part}", scores.items, r.queries, direction, metric, value)
    common = (r.round, "all", r.items, r.queries)
    costs = {f"seconds:{stage}": value for stage, value in r.seconds.items()}
    for name, cost in {**costs, "bits_rewritten": r.bits_rewritten, "state_bytes": r.state_bytes}.items():
        yield (*common, "", name, cost)
