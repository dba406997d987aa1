"""Costs along the stream of a run, round by round, as they were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.reporting import (
    Block,
    Column,
    Entry,
    Protocol,
    RoundRecord,
    Row,
    RunRecord,
    by_row,
    digits,
    duration,
    size,
)


def stream(protocol: Protocol) -> tuple[Block, list[dict[str, Any]]]:
    """A row per method, code length and evaluated round; means over seeds."""
    rows = []
    for ran in by_row(r.over("all") for r in protocol.records if not r.word):
        for rounds in zip(*(r.rounds for r in ran), strict=False):
            rows.append({**protocol.columns(*ran), **_costs(ran[0], rounds)})
    lines = [(row["method"], _line(protocol, row)) for row in rows]
    block = Block(
        caption=(
            "as measured along the stream, at every evaluated round; CPU time where the run has it",
            "codes, rewritten, rehash: of both modalities; rehash: encoding old items again",
            "q/s: queries a second that one core encodes and compares with all items, as in the evaluation, "
            + "which also counts relevant items",
        ),
        columns=(
            *(Column("method", align="left"), Column("bits"), Column("round"), Column("items")),
            *(Column(name, group="bytes") for name in ("codes", "state")),
            *(Column("rewritten", group="bits"), Column("rehash", group="CPU time"), Column("q/s")),
        ),
        rows=tuple(line for label, line in lines if label not in protocol.references),
        foot=tuple(line for label, line in lines if label in protocol.references),
        stub=3,
        protocol=protocol.slug,
    )
    return block, rows


def _costs(record: RunRecord, rounds: Sequence[RoundRecord]) -> dict[str, float | None]:
    """Means over the seeds of one round; ``record`` is one of them."""
    one = rounds[0]
    return {
        "round": one.round,
        "items": one.items,
        "codes_bytes": one.items * 2 * -(-record.spec.bits // 8),
        "state_bytes": mean([r.state_bytes for r in rounds]),
        "bits_rewritten": mean([r.bits_rewritten for r in rounds]),
        "rehash_seconds": mean([spent(r.seconds, "rehash") for r in rounds]),
        "queries_per_second": mean([_rate(record, r) for r in rounds]),
    }


def _rate(record: RunRecord, one: RoundRecord) -> float | None:
    """Queries a second that a core encodes and searches in one direction."""
    seconds = asking(record, one) + one.items * comparing(record, one)
    return 1 / seconds if seconds else None


def asking(record: RunRecord, one: RoundRecord) -> float:
    """Seconds of encoding a query in a round."""
    modalities = len({d[0] for d in record.spec.directions})
    return spent(one.seconds, "encode_query") / (one.queries * modalities)


def comparing(record: RunRecord, one: RoundRecord) -> float:
    """Seconds of comparing a query with a stored item in a round."""
    return spent(one.seconds, "search") / (one.queries * len(record.spec.directions) * one.items)


def spent(seconds: Mapping[str, float], stage: str) -> float:
    """CPU seconds of a stage, or wall clock where the run has no other."""
    return float(seconds.get(f"{stage}_cpu", seconds.get(stage, 0.0)))


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def count(value: float) -> str:
    """A number of bits, as tables show it."""
    return f"{value:.2e}" if value >= 1e6 else digits(value)


def _line(protocol: Protocol, row: Mapping[str, Any]) -> Row:
    forms = {"codes_bytes": size, "state_bytes": size, "bits_rewritten": count}
    forms |= {"rehash_seconds": duration, "queries_per_second": digits}
    shown = ((row[name], form) for name, form in forms.items())
    return (
        protocol.name(row["method"]),
        *(Entry(f"{row[name]:,}") for name in ("bits", "round", "items")),
        *(Entry() if value is None else Entry(form(value)) for value, form in shown),
    )
