"""The cost of a month, extrapolated from runs, and of their streams: bytes, CPU time, rewritten bits."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from bench.reporting import (
    NO_RECORDS,
    Block,
    Column,
    Entry,
    ParameterError,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    by_dataset,
    by_row,
    digits,
    duration,
    size,
)
from bench.reports._amounts import MONTH, per_month
from bench.reports._costs import asking, comparing, count, mean, spent, stream

_STAGES = ("fit", "encode", "rehash", "search")  # of the CPU seconds


def render(
    results: Results,
    *,
    inserts: Annotated[str, "items that arrive, such as 1e6/day"] = "1e6/day",
    queries: Annotated[str, "queries that are asked, such as 100/s"] = "100/s",
    rehashes: Annotated[str, "how often old items are encoded again, such as 1/day"] = "1/day",
) -> Table:
    """Two blocks per protocol and dataset, means over seeds: a month, EXTRAPOLATED, with a row per method and
    code length; and the stream, with a row per evaluated round too.

    Raises ParameterError for a rate that is none.
    """
    if not results.records:
        raise ParameterError(NO_RECORDS)
    rates = per_month(inserts, "inserts"), per_month(queries, "queries"), per_month(rehashes, "rehashes")
    texts = f"{inserts} inserts, {queries} queries, {rehashes} rehashes"
    blocks = []
    for protocol in by_dataset(results):
        blocks.append(_block(protocol, rates, texts))
        if not all(r.word for r in protocol.records):
            blocks.append(stream(protocol))
    return Table.of("Cost of a month", blocks)


def _block(
    protocol: Protocol, rates: tuple[float, float, float], texts: str
) -> tuple[Block, list[dict[str, Any]]]:
    items = rates[0]
    rows: list[tuple[Sequence[RunRecord], dict[str, float | None]]] = []
    for ran in by_row(protocol.records):
        numbers = [month(r, protocol.results, *rates) for r in ran if not r.word]
        rows.append((ran, {name: mean([n[name] for n in numbers]) for name in numbers[0]} if numbers else {}))
    lines = [(ran[0].spec.label, _row(protocol, ran, row)) for ran, row in rows]
    block = Block(
        caption=(
            f"EXTRAPOLATED to {texts}; a month has 30 days",
            f"the store starts empty and holds {items:,.0f} items after the month, half of them on average",
            "codes: of both modalities, without the overhead of an index; state: as at the end of the run",
            "encode: the same for every item as on average over the run; fit: the same, as if every item "
            + "were trained on",
            "without the offline stage; an offline method is fitted anew as often as its run was evaluated",
            "rehash: all stored items are encoded again in both modalities; never, where codes are frozen",
            "rewritten: at every rehash the share of stored bits that the last one of the run changed; "
            + "– where it evaluated fewer than two rounds",
            "search: a scan compares every query with all stored items of a modality, in time that grows as "
            + "their number, though few codes fit in a cache and many do not",
            "a scan costs as much as `bench index` measured on one thread; where it did not, as much as the "
            + "search of the run, which also counts relevant items",
            "CPU seconds of all threads where the run has them, else wall clock",
            "q/s: queries a second that one core encodes and compares with all items of the full store",
            "cores: the sum of CPU time over the length of the month",
            *protocol.caption(),
        ),
        columns=(
            Column("method", align="left"),
            Column("bits"),
            *(Column(name, group="bytes") for name in ("codes", "state")),
            Column("rewritten", group="bits"),
            *(Column(name, group="CPU time") for name in _STAGES),
            Column("q/s", better="higher"),
            Column("cores", better="lower"),
        ),
        rows=tuple(line for label, line in lines if label not in protocol.references),
        foot=tuple(line for label, line in lines if label in protocol.references),
        notes=protocol.notes(),
        stub=2,
        protocol=protocol.slug,
    )
    return block, [{**protocol.columns(*ran), **row, **protocol.outcome(ran)} for ran, row in rows]


def month(
    record: RunRecord, results: Results, inserts: float, queries: float, rehashes: float
) -> dict[str, float | None]:
    """The cost of 30 days by the formulas in the caption; rates are numbers in the month."""
    record = record.over("all")
    spec, last = record.spec, record.rounds[-1]
    stored = inserts * (rehashes + 1) / 2 if rehashes else 0.0  # items, over all rehashes
    share = 0.0 if spec.database == "frozen" else _rewritten(record)
    seconds = {
        "fit": inserts * _total(record, "fit") / record.trained_items,
        "encode": inserts * _encoding(record) + queries * asking(record, last),
        "rehash": stored * _rehashing(record),
        "search": queries * inserts / 2 * _comparing(record, results),
    }
    answering = asking(record, last) + inserts * _comparing(record, results)
    return {
        "codes_bytes": inserts * 2 * -(-spec.bits // 8),
        "state_bytes": float(last.state_bytes),
        "bits_rewritten": None if share is None else stored * 2 * spec.bits * share,
        **{f"{stage}_seconds": value for stage, value in seconds.items()},
        "queries_per_second": 1 / answering if answering else None,
        "cores": sum(seconds.values()) / MONTH,
    }


def _total(record: RunRecord, stage: str) -> float:
    """Seconds of a stage over all evaluated rounds, each of which has those since the one before."""
    return sum(spent(r.seconds, stage) for r in record.rounds)


def _encoding(record: RunRecord) -> float:
    """Seconds of encoding an item in both modalities."""
    if record.spec.database == "reindexed":  # an evaluation encodes all items, old and new
        last = record.rounds[-1]
        return (spent(last.seconds, "rehash") + spent(last.seconds, "encode_database")) / last.items
    return _total(record, "encode_database") / record.rounds[-1].items


def _rehashing(record: RunRecord) -> float:
    """Seconds of encoding a stored item anew."""
    if record.spec.database == "reindexed":
        return _encoding(record)
    return spent(record.rounds[-1].seconds, "rehash") / record.rounds[-1].items


def _comparing(record: RunRecord, results: Results) -> float:
    """Seconds of comparing a query with a stored item."""
    index = results.index(record)
    scans = [] if index is None else [s for s in index.searches if s.index == "scan"]
    if index is not None and scans:  # the one that other work on the machine disturbed less
        return float(np.mean([min(s.p50, 1 / s.rates["1"]) for s in scans])) / index.items
    return comparing(record, record.rounds[-1])


def _rewritten(record: RunRecord) -> float | None:
    """The share of stored bits that the last rehash changed; None where that is not known."""
    if len(record.rounds) < 2 or record.rounds[-1].bits_rewritten is None:
        return None
    return record.rounds[-1].bits_rewritten / (2 * record.spec.bits * record.rounds[-2].items)


def _row(protocol: Protocol, ran: Sequence[RunRecord], row: dict[str, float | None]) -> Row:
    head = protocol.name(ran[0].spec.label), Entry(str(ran[0].spec.bits))
    if not row:
        word = next((r.word for r in ran), "–")
        return (*head, *(Entry(word) for _ in range(len(_STAGES) + 5)))
    forms = {"codes_bytes": size, "state_bytes": size, "bits_rewritten": count, "cores": digits}
    forms["queries_per_second"] = digits
    shown = ((value, forms.get(name, duration)) for name, value in row.items())
    return (*head, *(Entry() if value is None else Entry(form(value), value) for value, form in shown))
