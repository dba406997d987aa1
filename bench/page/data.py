"""Stored records as the plain values that the page shows: every number with what it was measured under.

The browser averages over seeds, so that each number on the page can name its runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench import metrics
from bench.errors import BenchError, ParameterError
from bench.protocol import stream
from bench.records import (
    DATABASES,
    PARTS,
    REFERENCES,
    RoundRecord,
    RunRecord,
    RunSpec,
    origin,
)
from bench.reporting.protocol import schedules
from bench.reporting.significance import LEVEL
from bench.reporting.style import COLOURS
from bench.reporting.tables import Block, Table
from bench.results import Results

BOUNDS = ("pessimistic", "optimistic")
MOST_ROUNDS = 40  # points of a curve over rounds


def collect(results: Results, sections: Mapping[str, Results]) -> dict[str, Any]:
    """One entry per record, and for every section with records its protocols and metrics; plain JSON.

    ``sections`` are parts of ``results`` by title; one without a title is all of them.
    """
    index = {record.spec.key: i for i, record in enumerate(results.records)}
    names, environments = _names(results), _Numbered()
    shown = {title: part for title, part in sections.items() if part.records} or {"": results}
    return {
        "level": LEVEL,
        "names": names,
        "sections": [
            {"title": title, **_section(part, results.records, index)} for title, part in shown.items()
        ],
        "records": [_record(r, names, results.stale, environments) for r in results.records],
        "environments": environments.values,
        "styles": _styles(results),
    }


def _section(part: Results, records: Sequence[RunRecord], index: Mapping[str, int]) -> dict[str, Any]:
    """The report's tables of these records, independent of the other sections."""
    provenance, tested = part.table(report="provenance"), _tested(part)
    compared = tested.data if tested is not None else ()
    protocols = []
    for i, block in enumerate(provenance.blocks):
        shown = _protocol(block, _of(i, provenance.data), records, index)
        power = [] if tested is None else _only(tested.blocks[i].caption[1:], block.caption)
        shown["caption"] += power
        protocols.append({**shown, "p": _against_best(_of(i, compared))})
    return {"metrics": list(_metrics(_names(part) or ["map"], part, tested)), "protocols": protocols}


def _of(block: int, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["block"] == block]


def _only(lines: Sequence[str], known: Sequence[str]) -> list[str]:
    """The lines that are not known: those of a tested table on what its tests could have found."""
    return [line for line in lines if line not in known]


class _Numbered:
    """Values that many records share, each kept once."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: Any) -> int:
        if value not in self.values:
            self.values.append(value)
        return self.values.index(value)


def _names(results: Results) -> list[str]:
    """The metrics that any record has after its last round."""
    last = (round_ for record in results.records for round_ in record.rounds[-1:])
    return list(dict.fromkeys(key.rpartition("/")[0] for round_ in last for key in round_.metrics))


def _tested(results: Results) -> Table | None:
    """The table of mAP with tests of the differences; None where there are no histograms to test by."""
    try:
        return results.table("map", significance=True)
    except ParameterError:  # some cells have none, or not this metric
        return None


def _against_best(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Method, dataset, direction, bits, and corrected p of the difference to the best of that column.

    It belongs to a protocol, not to a record: a method without an offline stage stands beside the
    methods of several pools, and is compared with another best in each.
    """
    place = ("method", "dataset", "direction", "bits")
    found = ((*(row[name] for name in place), _number(row["p_against_best"])) for row in rows)
    return [entry for entry in found if entry[-1] is not None]


def _metrics(names: Sequence[str], results: Results, tested: Table | None) -> Iterator[dict[str, Any]]:
    """The metrics that every cell has; bounds and the chance level stand beside the metric they belong to."""
    for name in names:
        if name.startswith("chance") or name.rpartition(":")[2] in BOUNDS:
            continue
        try:
            tests = tested is not None and name == "map"
            table = tested if tested is not None and tests else results.table(name)
            printed = results.printed("map_table", metric=name, significance=tests)
        except ParameterError:  # rescored in some of the cells only
            continue
        yield {
            "name": name,
            "title": table.title,
            "words": described(name),
            "chance": name.replace("map", "chance", 1) if name.partition("@")[0] == "map" else "",
            "csv": table.to_csv(),
            "latex": printed.to_latex(),
        }


def described(name: str) -> str:
    """A metric in a sentence; "" for one that is not installed."""
    try:
        return metrics.parse_metric(name).description
    except BenchError:
        return ""


def _styles(results: Results) -> dict[str, dict[str, Any]]:
    """Every method's colour and dash: those it has in the figures."""
    rivals: dict[str, dict[str, Any]] = {
        label: {"colour": f"c{i % len(COLOURS)}", "dash": i // len(COLOURS) % 3}
        for label, i in results.places.items()
    }
    return rivals | {label: {"colour": kind, "dash": 3} for label, kind in results.references.items()}


def _protocol(
    block: Block, rows: Sequence[Mapping[str, Any]], records: Sequence[RunRecord], index: Mapping[str, int]
) -> dict[str, Any]:
    pools = list(dict.fromkeys(row["pool"] for row in rows))
    pool = next((p for p in pools if p != "none"), "none")
    first = records[index[rows[0]["key"]]]
    spec = first.spec
    own = schedules(records[index[row["key"]]] for row in rows)
    own = "" if own == str(spec.schedule) else own
    methods = {
        row["method"]: {"mark": row["mark"], "reference": REFERENCES.get(row["reference"], row["reference"])}
        for row in rows
    }
    return {
        "title": title(spec, first.part, pool=pool, own=own),
        "facts": list(facts(spec, first.part, pool=pool, own=own)),
        "spec": {
            "schedule": "" if own else spec.schedule.form,
            **{name: getattr(spec, name) for name in ("database", "evaluate", "val")},
            "last": spec.schedule.last,
            "withheld": {
                **dict(_withheld(spec)),
                **{name.replace("_", "-"): getattr(spec, name) for name in spec.disturbed},
            },
        },
        "caption": list(block.caption[1:]),
        "notes": list(block.notes),
        "methods": methods,
        "directions": list(spec.directions),
        "records": [index[row["key"]] for row in rows],
    }


def title(spec: RunSpec, part: str, *, pool: str, own: str = "") -> str:
    """A protocol in a line; ``own`` are the schedules of several datasets, each with its own."""
    axes = [
        spec.database,
        "own schedules" if own else str(spec.schedule),
        f"pool {pool}" if pool else "",
        f"evaluate {spec.evaluate}",
        f"train {spec.train}, {part} items" if spec.divided else "",
        *(f"{name} {value:g}" for name, value in _withheld(spec)),
        *(f"{name} {getattr(spec, name)}" for name in spec.disturbed),
        f"VALIDATION ({spec.val})" if spec.val else "",
    ]
    return ", ".join(filter(None, axes))


def facts(spec: RunSpec, part: str, *, pool: str, own: str = "") -> Iterator[tuple[str, str]]:
    """The axes of a protocol with their meanings; that of the pool only where ``pool`` is given."""
    schedule = spec.schedule
    yield "database", f"{spec.database}: {DATABASES[spec.database]}"
    remainder = "is a short chunk" if schedule.last == "short" else "joins the last chunk"
    described = schedule.brief if schedule.steps else f"{schedule.meaning}; a remainder {remainder}"
    yield "schedule", own or f"{schedule}: {described}"
    if pool:
        kind = stream.parse_pool(pool)[0]
        yield "pool", f"{pool}: {next(text for name, text in stream.POOLS.items() if name.startswith(kind))}"
    when = {"last": "after the last round", "all": "after every round"}.get(spec.evaluate, spec.evaluate)
    yield "evaluated", "in the steps of the runbook" if schedule.steps else when
    if spec.divided:
        yield "train", f"{spec.train} of the arriving items; scores over {PARTS[part]}"
    for name, share in _withheld(spec):
        what = "their labels" if name == "labelled" else "one of their modalities"
        yield name, f"{share:g}: the other training items were shown without {what}"
    yield from spec.disturbed.items()
    if spec.val:
        yield (
            "VALIDATION",
            f"for tuning only: {spec.val} training items are the queries; test queries not read",
        )


def _withheld(spec: RunSpec) -> list[tuple[str, float]]:
    shares = {"labelled": spec.labelled, "paired": spec.paired}
    return [(name, share) for name, share in shares.items() if share < 1]


def _record(
    record: RunRecord, names: Sequence[str], stale: Mapping[str, str], environments: _Numbered
) -> dict[str, Any]:
    spec = record.spec
    last = record.rounds[-1] if record.rounds else None
    return {
        "key": spec.key,
        "method": spec.label,
        "plugin": spec.method,
        "dataset": spec.dataset_label,
        "bits": spec.bits,
        "seed": spec.seed,
        "pool": spec.pool,
        "status": record.word or "ok",
        "reason": record.trouble,
        "stale": stale.get(spec.key, ""),
        "fidelity": origin(record.fidelity),
        "future": spec.sees_future,
        "code": record.code,
        "data": record.data,
        "environment": environments(dict(record.environment)),
        "notes": list(record.notes),
        "contract": record.breach,
        "constant": record.constant,
        "items": last.items if last else None,
        "queries": last.queries if last else None,
        "empty": dict(last.empty_queries) if last else {},
        "fit": sum(record.fit_seconds),
        "state": last.state_bytes if last else None,
        "values": {d: [_number(last.metrics.get(f"{n}/{d}")) for n in names] for d in spec.directions}
        if last
        else {},
        "rounds": _rounds(record),
    }


def _rounds(record: RunRecord) -> dict[str, Any]:
    """mAP and chance by round, in thousandths; nothing where only the last round was evaluated."""
    if len(record.rounds) < 2:
        return {}
    chosen = list(_spread(record.rounds, MOST_ROUNDS))
    return {
        "round": [r.round for r in chosen],
        "items": [r.items for r in chosen],
        **{
            f"{name}/{d}": [_thousandths(r.metrics.get(f"{name}/{d}")) for r in chosen]
            for name in ("map", "chance")
            for d in record.spec.directions
        },
    }


def _spread(rounds: Sequence[RoundRecord], most: int) -> Iterable[RoundRecord]:
    """At most ``most`` of them, evenly spread, the first and the last included."""
    steps = min(len(rounds), most) - 1
    return (rounds[round(i * (len(rounds) - 1) / steps)] for i in range(steps + 1))


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 8)


def _thousandths(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else round(1000 * value)
