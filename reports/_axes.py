"""Sweeps: records that differ in one or two parameters or axes, and the values they have there."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from bench.reporting import (
    AXES,
    DIRECTIONS,
    NO_RECORDS,
    Direction,
    Entry,
    Figure,
    ParameterError,
    Plot,
    Protocol,
    Results,
    RunRecord,
    check_metric,
    dataset_of,
    definition,
    evaluation,
    grouped,
    heading,
    metric_title,
    part_name,
    protocols,
    reasons,
    selector,
)

AxisNames = Annotated[
    tuple[str, ...], "parameters or axes to show; by default those in which the cells differ"
]
_PICKING = "to choose a value here is to tune on the test queries; `bench tune` uses other queries"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Records of one method, dataset and protocol that differ in ``axes``, code length and seed alone."""

    axes: tuple[str, ...]
    protocol: Protocol
    values: Mapping[str, tuple[Any, ...]]  # key of a cell → its value on each axis

    @property
    def records(self) -> tuple[RunRecord, ...]:
        return self.protocol.records

    @property
    def title(self) -> str:
        """The name that the method was given, or else the method with its fixed parameters."""
        return self._shown() or selector(self.records[0].spec.method, self._fixed())

    def _shown(self) -> str:
        """The name that all records share, but for the values that vary; "" without one."""
        names = set()
        for r in self.records:
            pairs = zip(self.axes, self.values[r.spec.key], strict=True)
            varied = heading("", {name: value for name, value in pairs if name not in AXES})
            names.add(r.spec.method_shown.removesuffix(varied))
        return names.pop() if len(names) == 1 else ""

    def _fixed(self) -> dict[str, Any]:
        return {k: v for k, v in self.records[0].spec.params.items() if k not in self.axes}

    def caption(self, metric: str, more: str = "") -> tuple[str, ...]:
        """The method, then ``more``, the metric, and the protocol of all points."""
        what = f"{self.title}{more}: {definition(metric)}, after the last round, mean over seeds"
        return what, *self.protocol.caption(metric=metric, swept=self.axes)

    @property
    def directions(self) -> list[Direction]:
        return [d for d in DIRECTIONS if d in self.records[0].spec.directions]

    @property
    def lengths(self) -> list[int]:
        return sorted({r.spec.bits for r in self.records})

    def notes(self) -> tuple[str, ...]:
        """Those of the protocol, with plain results under the name that they share."""
        notes = under_one_name(self.protocol, self._fixed(), self._shown()).notes()
        picks = not self.records[0].spec.val and any(axis not in AXES for axis in self.axes)
        return (*notes, _PICKING) if picks else notes

    def levels(self, axis: str) -> list[Any]:
        """The values of an axis: numbers by size, others in order of appearance."""
        place = self.axes.index(axis)
        values = list(dict.fromkeys(self.values[r.spec.key][place] for r in self.records))
        return sorted(values) if all(isinstance(v, (int, float)) for v in values) else values

    def at(self, bits: int, *values: Any) -> list[RunRecord]:
        """The records of all seeds at one point of the grid."""
        return [r for r in self.records if r.spec.bits == bits and self.values[r.spec.key] == values]

    def entry(self, bits: int, *values: Any, metric: str, direction: Direction) -> Entry:
        """The mean over seeds at one point of the grid, or a word where there is none."""
        here = self.at(bits, *values)
        return self.protocol.entry(here, scores(here, metric, direction), len(here))

    def data(self, metric: str) -> Iterator[dict[str, Any]]:
        """A row of plain numbers for every point, code length and direction."""
        points = grouped(self.records, lambda r: (r.spec.bits, *self.values[r.spec.key]))
        for (_, *values), here in points.items():
            for direction in here[0].spec.directions:
                numbers = scores(here, metric, direction)
                yield {
                    **dict(zip(self.axes, values, strict=True)),
                    **self.protocol.columns(here[0]),
                    "direction": direction,
                    "metric": metric,
                    "value": statistics.fmean(numbers) if numbers else None,
                    "sd": statistics.stdev(numbers) if len(numbers) > 1 else None,
                    "n": len(numbers),
                    "reason": reasons(here),
                }


def sweeps(results: Results, axes: Sequence[str], dimensions: int, metric: str) -> list[Sweep]:
    """One for every method, dataset and protocol; without ``axes``, over what varies in the records."""
    if not results.records:
        raise ParameterError(NO_RECORDS)
    check_metric(results, metric)
    defaults = {name: results.defaults(name) for name in dict.fromkeys(r.spec.method for r in results)}
    axes = tuple(axes) or results.swept or tuple(_varied(results, defaults))
    if len(axes) != dimensions:
        raise ParameterError(
            f"shows {'one axis' if dimensions == 1 else 'two axes'}, and these cells differ in "
            f"{', '.join(axes) or 'none'}. Select fewer cells, or run a grid: `bench sweep METHOD --grid …`."
        )
    values = {r.spec.key: tuple(_value(r, axis, defaults) for axis in axes) for r in results}
    apart = [] if "pool" in axes else protocols(results, swept=axes)
    names = {record.spec.key: part.slug for part in apart for record in part.records}
    swept = []
    evaluate = evaluation(results, axes)
    for records in grouped(results, lambda r: (_fixed(r, axes), evaluate(r.spec))).values():
        first = records[0].spec
        slug = names.get(first.key, "")
        protocol = Protocol(results=results, pool=first.pool, records=tuple(records), slug=slug)
        swept.append(Sweep(axes, protocol, values))
    return swept


def drawn(
    sweeps: Sequence[Sweep], metric: str, plot: Callable[[Sweep], tuple[tuple[str, ...], Callable[[], Any]]]
) -> Figure:
    """A plot for every sweep, of which ``plot`` gives more lines for the caption and the drawing."""
    parts = []
    for number, sweep in enumerate(sweeps):
        caption, draw = plot(sweep)
        name = part_name(number, sweep.title)
        one = Plot(name=name, caption=(*sweep.caption(metric), *caption), notes=sweep.notes(), draw=draw)
        parts.append((one, sweep.data(metric)))
    return Figure.of(f"{metric_title(metric)} over {' × '.join(sweeps[0].axes)}", parts)


def under_one_name(protocol: Protocol, params: Mapping[str, Any], shown: str) -> Protocol:
    """The same records, for notes that would list every setting: plain results get one setting and name."""
    stale = protocol.results.stale
    return protocol.part(
        r
        if r.word or r.spec.key in stale
        else replace(r, spec=replace(r.spec, params=params, method_shown=shown))
        for r in protocol.records
    )


def _value(record: RunRecord, axis: str, defaults: Mapping[str, Mapping[str, Any]]) -> Any:
    """The value of a cell on an axis; for a parameter that is not set, the default."""
    spec = record.spec
    if axis in AXES:
        value = getattr(spec, axis)
        return str(value) if axis == "schedule" else value
    return spec.params.get(axis, defaults[spec.method].get(axis))


def _varied(results: Results, defaults: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys([*AXES, *(name for r in results for name in r.spec.params)])
    return [name for name in names if len({_value(r, name, defaults) for r in results}) > 1]


def _fixed(record: RunRecord, axes: Sequence[str]) -> tuple[Any, ...]:
    s = record.spec
    own = tuple(sorted((k, v) for k, v in s.params.items() if k not in axes))
    protocol = tuple(str(getattr(s, name)) for name in AXES if name not in axes)
    return (s.method, own, dataset_of(record), record.data, protocol, s.val, s.directions)


def scores(records: Sequence[RunRecord], metric: str, direction: Direction) -> list[float]:
    """The metric after the last round, of every seed that has it."""
    key = f"{metric}/{direction}"
    last = [r.rounds[-1] for r in records if not r.word]
    return [r.metrics[key] for r in last if key in r.metrics]


def shown(value: Any) -> str:
    """A value of an axis, without digits that say nothing."""
    return f"{value:g}" if isinstance(value, float) else str(value)
