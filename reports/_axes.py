"""What a sweep varied: the values of parameters and axes, and which records differ in nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.contract import params
from bench.errors import ParameterError
from bench.plugins import registry
from bench.records import AXES, DIRECTIONS, Direction, RunRecord, selector
from bench.reporting.tables import Entry
from bench.reports._metric import check_metric, definition, short
from bench.reports._protocol import NOTHING, STALE, Protocol, Stale, dataset_of

_PICKING = "to pick a value here is to pick it on the test queries; `bench tune` picks it on others"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Records of one method, dataset and protocol that differ in ``axes``, code length and seed alone."""

    axes: tuple[str, ...]
    records: tuple[RunRecord, ...]
    values: Mapping[str, tuple[Any, ...]]  # key of a cell → what it has on each axis

    @property
    def title(self) -> str:
        """The method with what was fixed."""
        return selector(self.records[0].spec.method, self._fixed(self.records[0]))

    def _fixed(self, record: RunRecord) -> dict[str, Any]:
        return {k: v for k, v in record.spec.params.items() if k not in self.axes}

    @property
    def protocol(self) -> Protocol:
        return Protocol(pool=self.records[0].spec.pool, records=self.records)

    def caption(self, metric: str, told: str = "") -> tuple[str, ...]:
        """What is shown, with ``told`` beside the method, and the protocol of all points."""
        what = f"{self.title}{told}: {definition(metric)}, after the last round, mean over seeds"
        return what, *self.protocol.caption(metric=metric, swept=self.axes)

    @property
    def directions(self) -> list[Direction]:
        return [d for d in DIRECTIONS if d in self.records[0].spec.directions]

    @property
    def lengths(self) -> list[int]:
        return sorted({r.spec.bits for r in self.records})

    def notes(self, stale: Stale) -> tuple[str, ...]:
        """The protocol's, with plain results under the name that they share."""
        named = under_one_name(self.records, self._fixed(self.records[0]), stale)
        notes = Protocol(pool=self.protocol.pool, records=named).notes(stale)
        picks = not self.records[0].spec.val and any(axis not in AXES for axis in self.axes)
        return (*notes, _PICKING) if picks else notes

    def levels(self, axis: str) -> list[Any]:
        """The values of an axis: numbers by size, others in order of appearance."""
        place = self.axes.index(axis)
        found = list(dict.fromkeys(self.values[r.spec.key][place] for r in self.records))
        return sorted(found) if all(isinstance(v, (int, float)) for v in found) else found

    def at(self, bits: int, *values: Any) -> list[RunRecord]:
        """The records of all seeds at one point of the grid."""
        return [r for r in self.records if r.spec.bits == bits and self.values[r.spec.key] == values]


def sweeps(
    records: Sequence[RunRecord], axes: Sequence[str], dimensions: int, report: str, metric: str
) -> list[Sweep]:
    """One for every method, dataset and protocol; without ``axes``, they are what varies in the records."""
    if not records:
        raise ParameterError(NOTHING)
    check_metric(records, metric)
    defaults = {name: _defaults(name) for name in {r.spec.method for r in records}}
    axes = tuple(axes) or tuple(_varied(records, defaults))
    if len(axes) != dimensions:
        raise ParameterError(
            f"report {report!r} shows {dimensions} axes, and these cells differ in "
            f"{', '.join(axes) or 'none'}. `bench sweep METHOD --grid …` prints it; or select fewer cells."
        )
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_fixed(record, axes), []).append(record)
    values = {r.spec.key: tuple(_value(r, axis, defaults) for axis in axes) for r in records}
    return [Sweep(axes, tuple(found), values) for found in groups.values()]


def under_one_name(
    records: Sequence[RunRecord], params: Mapping[str, Any], stale: Stale
) -> tuple[RunRecord, ...]:
    """The same records, for notes that would list every setting: plain results have these parameters."""
    return tuple(
        r if r.word or r.spec.key in stale else replace(r, spec=replace(r.spec, params=params))
        for r in records
    )


def _defaults(method: str) -> dict[str, Any]:
    known = params.parameters(registry.get("method", method))
    return {name: parameter.default for name, parameter in known.items()}


def _value(record: RunRecord, axis: str, defaults: Mapping[str, Mapping[str, Any]]) -> Any:
    """The value that a cell has on an axis; of a parameter that is not set, the default."""
    spec = record.spec
    if axis in AXES:
        value = getattr(spec, axis)
        return str(value) if axis == "schedule" else value
    return spec.params.get(axis, defaults[spec.method].get(axis))


def _varied(records: Sequence[RunRecord], defaults: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys([*AXES, *(name for r in records for name in r.spec.params)])
    return [name for name in names if len({_value(r, name, defaults) for r in records}) > 1]


def _fixed(record: RunRecord, axes: Sequence[str]) -> tuple[Any, ...]:
    s = record.spec
    own = tuple(sorted((k, v) for k, v in s.params.items() if k not in axes))
    protocol = tuple(str(getattr(s, name)) for name in AXES if name not in axes)
    return (s.method, own, dataset_of(record), record.data, protocol, s.val, s.evaluate, s.directions)


def entry(records: Sequence[RunRecord], metric: str, direction: Direction, stale: Stale) -> Entry:
    """The mean over seeds, or a word where there is none."""
    old = STALE if any(r.spec.key in stale for r in records) else ""
    found = scores(records, metric, direction)
    if not found:
        return Entry(next((r.word for r in records if r.word), "–"), extra=old)
    mean = statistics.fmean(found)
    spread = f" ±{short(statistics.stdev(found))}" if len(found) > 1 else ""
    count = f" (n={len(found)})" if len(found) < len(records) else ""
    return Entry(short(mean), mean, old + spread + count)


def scores(records: Sequence[RunRecord], metric: str, direction: Direction) -> list[float]:
    """The metric after the last round, of every seed that has it."""
    key = f"{metric}/{direction}"
    last = [r.rounds[-1] for r in records if not r.word]
    return [r.metrics[key] for r in last if key in r.metrics]


def data(sweep: Sweep, metric: str) -> Iterator[dict[str, Any]]:
    """A row of plain numbers for every point, code length and direction."""
    points: dict[tuple[Any, ...], list[RunRecord]] = {}
    for r in sweep.records:
        points.setdefault((r.spec.bits, *sweep.values[r.spec.key]), []).append(r)
    for (_, *values), found in points.items():
        for direction in found[0].spec.directions:
            numbers = scores(found, metric, direction)
            yield {
                **dict(zip(sweep.axes, values, strict=True)),
                **sweep.protocol.columns(found[0]),
                "direction": direction,
                "metric": metric,
                "value": statistics.fmean(numbers) if numbers else None,
                "sd": statistics.stdev(numbers) if len(numbers) > 1 else None,
                "n": len(numbers),
                "reason": "; ".join(dict.fromkeys(f"{r.word}: {r.trouble}" for r in found if r.word)),
            }


def shown(value: Any) -> str:
    """A value of an axis, as short as it can be told from others."""
    return f"{value:g}" if isinstance(value, float) else str(value)
