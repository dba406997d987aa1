"""Whether a record of the right form says what a run can say: values in their ranges, text in one line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bench.contract.params import is_line
from bench.errors import ParameterError
from bench.protocol import axes, runbook, stream
from bench.records import (
    DISTANCES,
    MOST_POINTS,
    OFFLINE,
    REFERENCES,
    CurveRecord,
    RoundRecord,
    RunRecord,
    RunSpec,
    Schedule,
)

_MOST_SECONDS = 1e9  # thirty years


def nonsense(record: RunRecord) -> str:
    """The first value of a record that no run stores, with what was expected; "" if there is none."""
    return next(_nonsense(record), "")


def _nonsense(record: RunRecord) -> Iterator[str]:
    yield from (f"record.spec.{text}" for text in _of_spec(record.spec))
    yield from _of_values(record.environment, "record.environment")
    yield from _of_counts({"schema": record.schema}, "record", least=1)
    for name in ("code", "data", "fidelity"):
        if not is_line(getattr(record, name)):
            yield f"record.{name} is {getattr(record, name)[:40]!r}; expected text in one line"
    if record.reference and record.reference not in REFERENCES:
        yield f"record.reference is {record.reference!r}; expected one of {', '.join(REFERENCES)}"
    if record.distance not in DISTANCES:
        yield f"record.distance is {record.distance!r}; expected one of {', '.join(DISTANCES)}"
    yield from _of_seconds(dict(enumerate(record.fit_seconds)), "record.fit_seconds")
    for name, curve in record.curves.items():
        yield from _of_curve(name, curve, f"record.curves.{name[:40]}")
    for number, entry in enumerate(record.rounds):
        yield from _of_round(entry, f"record.rounds[{number}]")


def _of_spec(spec: RunSpec) -> Iterator[str]:
    for name in ("method", "dataset"):
        text = getattr(spec, name)
        if not text or not is_line(text):
            yield f"{name} is {text[:40]!r}; expected the name of a plugin"
    yield from _of_counts({"bits": spec.bits}, "", least=1)
    yield from _of_counts({"seed": spec.seed, "val": spec.val, "delay": spec.delay}, "")
    for name in ("labelled", "paired"):
        if not 0 <= getattr(spec, name) <= 1:
            yield f"{name} is {getattr(spec, name)}; expected a share from 0 to 1"
    if not 0 <= spec.unseen_classes < 1:
        yield f"unseen_classes is {spec.unseen_classes}; expected a share from 0 to below 1"
    if not spec.directions or len(set(spec.directions)) < len(spec.directions):
        yield f"directions is {list(spec.directions)}; expected each once, and at least one"
    try:
        Schedule.parse(spec.schedule.form)
        if spec.schedule.steps:
            runbook.parse(spec.schedule.steps, spec.schedule.name)
        stream.parse_pool(spec.pool)
        stream.parse_train(spec.train)
        for name, canonical in axes.CANONICAL.items():
            canonical(getattr(spec, name))
        stream.parse_evaluate(spec.evaluate, 1)
    except (ParameterError, ValueError) as error:  # ValueError: a number of thousands of digits
        yield f"protocol: {error}"
    yield from _of_values(spec.params, "params")
    yield from _of_values(spec.dataset_params, "dataset_params")


def _of_round(entry: RoundRecord, where: str) -> Iterator[str]:
    counts = {"round": entry.round, "items": entry.items, "queries": entry.queries}
    yield from _of_counts({**counts, "state_bytes": entry.state_bytes}, where)
    if entry.bits_rewritten is not None:
        yield from _of_counts({"bits_rewritten": entry.bits_rewritten}, where)
    if entry.gpu_bytes is not None:
        yield from _of_counts({"gpu_bytes": entry.gpu_bytes}, where)
    yield from _of_seconds(entry.seconds, f"{where}.seconds")
    for name, score in entry.metrics.items():
        if math.isinf(score):
            yield f"{where}.metrics.{name} is {score}; expected a finite number"
    for part, scores in entry.deleted.items():
        yield from _of_counts({"items": scores.items}, f"{where}.deleted.{part[:40]}", least=1)


def _of_curve(name: str, curve: CurveRecord, where: str) -> Iterator[str]:
    if not name or not is_line(name):
        yield f"record.curves has the name {name[:40]!r}; expected text in one line"
    lengths = {len(curve.rounds), len(curve.steps), len(curve.values)}
    if len(lengths) > 1 or max(lengths) > MOST_POINTS:
        yield f"{where} has fields of {sorted(lengths)} entries; expected one length of at most {MOST_POINTS}"
    yield from _of_counts({"rounds": min(curve.rounds, default=0)}, where, least=OFFLINE)
    yield from _of_counts({"steps": min(curve.steps, default=0)}, where)
    if not all(map(math.isfinite, curve.values)):
        yield f"{where}.values has a value that is not finite; expected finite numbers"


def _of_counts(values: Mapping[str, int], where: str, *, least: int = 0) -> Iterator[str]:
    for name, value in values.items():
        if value < least:
            yield f"{where}{'.' if where else ''}{name} is {value}; expected {least} or more"


def _of_seconds(values: Mapping[Any, float], where: str) -> Iterator[str]:
    for name, value in values.items():
        if not 0 <= value < _MOST_SECONDS:
            yield f"{where}.{name} is {value}; expected seconds"


def _of_values(values: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, value in values.items():
        if not name or not is_line(name):
            yield f"{where} has the name {name[:40]!r}; expected text in one line"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{where}.{name} is {value}; expected a finite number"
        elif isinstance(value, str) and not is_line(value):
            yield f"{where}.{name} is {value[:40]!r}; expected text in one line"
