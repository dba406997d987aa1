"""Which method, code length and index to take: the best among those that were measured, within limits."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from bench.reporting import (
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    Protocol,
    Results,
    Row,
    Table,
    by_dataset,
    dataset_of,
    digits,
    duration,
    short,
)
from bench.reports import _amounts
from bench.reports._indexes import Candidate, candidates, check, facts, machines


def render(
    results: Results,
    *,
    recall: Annotated[float, "recall of the exact search that an index must reach, from 0 to 1"] = 0.9,
    latency: Annotated[str, "most time for 99 of 100 queries, such as 5ms; empty: any"] = "",
    memory: Annotated[str, "most memory of the index per item, such as 64B; empty: any"] = "",
    k: Annotated[int, "nearest items of which recall and precision are taken: 1, 10 or 100"] = 10,
) -> Table:
    """The Pareto set of each dataset and direction over precision, latency and memory, and a sentence.

    Raises ParameterError where `bench index` has measured nothing, and for a limit that is no amount.
    """
    limits = _amounts.seconds(latency, "latency"), _amounts.count_of_bytes(memory, "memory")
    check(results, recall, k)
    blocks = []
    for protocol in by_dataset(results):
        for direction in protocol.records[0].spec.directions:
            rivals = protocol.part(protocol.rivals)
            measured = list(candidates(rivals, direction, recall, k)) if rivals.records else []
            if measured:
                blocks.append(_block(protocol, direction, measured, recall, limits, k))
    return Table.of("Choice", blocks)


def _block(
    protocol: Protocol,
    direction: Direction,
    measured: Sequence[Candidate],
    recall: float,
    limits: tuple[float, float],
    k: int,
) -> tuple[Block, list[dict[str, Any]]]:
    latency, memory = limits
    accurate = [c for c in measured if c.reached]
    quick = [c for c in accurate if c.p99 <= latency]
    fitting = [c for c in quick if c.bytes_per_item <= memory]
    front = sorted(pareto(fitting, k), key=lambda c: -c.precision[k])
    goals = [f"recall@{k} ≥ {recall:g}"]
    goals += [] if latency == math.inf else [f"p99 ≤ {duration(latency)}"]
    goals += [] if memory == math.inf else [f"at most {digits(memory)} B per item"]
    place = f"{dataset_of(protocol.records[0])} {DIRECTION_NAMES[direction]}"
    of = f"{len(measured)} measured combinations"
    counts = f"{len(accurate)} reach the recall, {len(quick)} of them in time, {len(fitting)} in this memory"
    choice = f"take {_described(front[0], k)}" if front else f"none of {of} has {', '.join(goals)}"
    block = Block(
        caption=(
            f"{place}: {choice}",
            f"within {', '.join(goals)}: of {of}, {counts}",
            "Pareto set: no other within the limits is as precise, as quick and as small, and better in one",
            f"each index at its cheapest setting with recall@{k} ≥ {recall:g} of the exact Hamming search",
            f"precision@{k}: relevant items among those that the index returns, in its own order of "
            + "ties, which moves it by hundredths where many items share a code; means over seeds",
            f"p99: of queries asked alone, on one thread: {machines(protocol)}",
            "B/item: the index of one modality as it is written to a file, with ids",
            *protocol.caption(),
        ),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            Column("index", align="left"),
            Column(f"precision@{k}", better="higher"),
            Column(f"recall@{k}"),
            Column("p99", better="lower"),
            Column("B/item", better="lower"),
        ),
        rows=tuple(_row(protocol, c, k) for c in front),
        notes=protocol.notes(),
        stub=3,
        protocol=protocol.slug,
    )
    return block, [{**protocol.columns(*c.ran), "direction": direction, **facts(c)} for c in front]


def pareto(measured: Sequence[Candidate], k: int) -> Iterator[Candidate]:
    """Those that no other equals in precision, latency and memory and beats in one of them."""

    def costs(c: Candidate) -> tuple[float, float, float]:
        return -c.precision[k], c.p99, c.bytes_per_item

    for one in measured:
        others = (costs(other) for other in measured)
        mine = costs(one)
        if not any(o != mine and all(a <= b for a, b in zip(o, mine, strict=True)) for o in others):
            yield one


def _described(c: Candidate, k: int) -> str:
    spec = c.ran[0].spec
    return (
        f"{spec.label} at {spec.bits} bits with {c.name}, the most precise: precision@{k} "
        f"{short(c.precision[k])}, p99 {duration(c.p99)}, {digits(c.bytes_per_item)} B per item"
    )


def _row(protocol: Protocol, c: Candidate, k: int) -> Row:
    return (
        protocol.name(c.ran[0].spec.label),
        Entry(str(c.ran[0].spec.bits)),
        Entry(c.name),
        Entry(short(c.precision[k]), c.precision[k]),
        Entry(short(c.recall[k])),
        Entry(duration(c.p99), c.p99),
        Entry(digits(c.bytes_per_item), c.bytes_per_item),
    )
