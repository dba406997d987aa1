"""Measured indexes over stored codes: recall, latency, throughput, memory and upkeep at equal recall."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from bench.reporting import (
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    by_dataset,
    by_row,
    dataset_of,
    digits,
    duration,
    mean,
    short,
)
from bench.reports._indexes import CUTS, Candidate, candidates, check, facts, machines

_MISSED = "↓"
_FLOATS = ("clip", "output")  # exact searches of vectors, with which the Hamming search is compared
_METRICS = tuple(f"{name}@{k}" for name in ("precision", "recall") for k in CUTS)


def render(
    results: Results,
    *,
    recall: Annotated[float, "recall that an index must reach, from 0 to 1"] = 0.9,
    k: Annotated[int, "nearest items of which the recall is taken: 1, 10 or 100"] = 10,
) -> Table:
    """Two blocks per protocol, dataset and direction: indexes, each at its cheapest setting that reaches the
    recall, and codes.

    Raises ParameterError where `bench index` has measured nothing.
    """
    check(results, recall, k)
    blocks = []
    for protocol in by_dataset(results):
        for direction in protocol.records[0].spec.directions:
            measured = list(candidates(protocol, direction, recall, k))
            if measured:
                blocks.append(_searches(protocol, direction, measured, f"recall@{k} ≥ {recall:g}"))
                blocks.append(_codes(protocol, direction))
    return Table.of("Indexes", blocks)


def _searches(
    protocol: Protocol, direction: Direction, measured: Sequence[Candidate], goal: str
) -> tuple[Block, list[dict[str, Any]]]:
    group = f"{dataset_of(protocol.records[0])} {DIRECTION_NAMES[direction]}"
    rows = [(c.ran[0].spec.label, _row(protocol, c)) for c in measured]
    missed = (f"{_MISSED} no setting reaches {goal}; the most accurate one is shown",)
    block = Block(
        caption=(
            f"each index at the cheapest setting that reaches {goal}; means over seeds",
            f"measured on one thread: {machines(protocol)}",
            "recall@k: returned items that are no farther than the k-th nearest, so ties do not matter",
            "p50, p99: wall clock of a query asked alone on one thread, for 100 items; busy: while every "
            + "core asks one query at a time; q/s: of queries asked together",
            "B/item: the index as it is written to a file, with ids",
            "add: the last chunk; re-index: encoding all items anew, both modalities, and building the index",
            "scan: a plain loop over packed codes, the limit of an exact search; the others are of faiss",
            *protocol.caption(),
        ),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            Column(group, align="left"),
            *(Column(f"@{k}", group="recall") for k in CUTS),
            *(Column(name, group=group) for group in ("latency", "latency, busy") for name in ("p50", "p99")),
            *(Column(name, group="q/s, threads") for name in ("1", "all")),
            *(Column(name) for name in ("B/item", "build", "add", "re-index")),
        ),
        rows=tuple(row for label, row in rows if label not in protocol.references),
        foot=tuple(row for label, row in rows if label in protocol.references),
        notes=(*(() if all(c.reached for c in measured) else missed), *protocol.notes()),
        stub=3,
        protocol=protocol.slug,
    )
    return block, [{**protocol.columns(*c.ran), "direction": direction, **facts(c)} for c in measured]


def _row(protocol: Protocol, c: Candidate) -> Row:
    again = _encoding(c.ran)
    return (
        protocol.name(c.ran[0].spec.label),
        Entry(str(c.ran[0].spec.bits)),
        Entry(c.name, extra="" if c.reached else _MISSED),
        *(Entry(short(c.recall[k])) if k in c.recall else Entry() for k in CUTS),
        *(Entry(duration(seconds)) for seconds in (c.p50, c.p99)),
        *(Entry() if s is None else Entry(duration(s)) for s in (c.busy_p50, c.busy_p99)),
        *(Entry(digits(rate)) for rate in (c.alone, c.together)),
        Entry(digits(c.bytes_per_item)),
        *(Entry(duration(seconds)) for seconds in (c.build_seconds, c.add_seconds)),
        Entry() if again is None else Entry(duration(again + c.build_seconds)),
    )


def _encoding(ran: Sequence[RunRecord]) -> float | None:
    """Seconds of encoding every stored item anew; None under another policy than ``reindexed``."""
    if ran[0].spec.database != "reindexed":
        return None
    last = [record.rounds[-1].seconds for record in ran]
    return float(np.mean([s.get("rehash", 0.0) + s.get("encode_database", 0.0) for s in last]))


def _codes(protocol: Protocol, direction: Direction) -> tuple[Block, list[dict[str, Any]]]:
    rows = [
        {**protocol.columns(*ran), "direction": direction, **_quality(protocol.results, ran, direction)}
        for ran in by_row(r for r in protocol.records if not r.word and protocol.results.index(r) is not None)
    ]
    lines = [(row["method"], (protocol.name(row["method"]), *_entries(row))) for row in rows]
    block = Block(
        caption=(
            "codes under an exact Hamming search of all items, whatever the index; ties in expectation",
            "CLIP: the share of the k items nearest by cosine in the view clip that are among the first k",
            "outputs: the same of the k items nearest by cosine of the real values whose signs are the codes",
            "relevant: precision and recall against labels among the first k",
        ),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            *(Column(f"@{k}", group="recall of CLIP", better="higher") for k in CUTS),
            *(Column(f"@{k}", group="recall of outputs", better="higher") for k in CUTS),
            *(Column(f"@{k}", group="precision, relevant", better="higher") for k in CUTS),
            *(Column(f"@{k}", group="recall, relevant", better="higher") for k in CUTS),
        ),
        rows=tuple(line for label, line in lines if label not in protocol.references),
        foot=tuple(line for label, line in lines if label in protocol.references),
        stub=2,
        protocol=protocol.slug,
        kind="codes",
    )
    return block, rows


def _quality(results: Results, ran: Sequence[RunRecord], direction: Direction) -> dict[str, float | None]:
    """Recall of the view's nearest, and metrics against labels over all items; means over seeds."""
    measured = [index for record in ran if (index := results.index(record)) is not None]
    recalls = {
        f"{name}@{k}": _mean([getattr(one, f"{name}_recall").get(direction, {}) for one in measured], k)
        for name in _FLOATS
        for k in CUTS
    }
    counts = [results.evidence.histograms(record.over("all"), direction) for record in ran]
    scores = {metric: float(np.mean([mean(metric, one) for one in counts])) for metric in _METRICS}
    return recalls | scores


def _mean(recalls: Sequence[Mapping[str, float]], k: int) -> float | None:
    """The mean recall at k of the seeds that have one."""
    values = [recall[str(k)] for recall in recalls if str(k) in recall]
    return float(np.mean(values)) if values else None


def _entries(row: Mapping[str, Any]) -> Iterator[Entry]:
    yield Entry(str(row["bits"]))
    for name in (*(f"{name}@{k}" for name in _FLOATS for k in CUTS), *_METRICS):
        yield Entry() if row[name] is None else Entry(short(row[name]), row[name])
