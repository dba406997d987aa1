"""Time and memory: seconds per stage, size of the learned state, stored bits rewritten by rehashing."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.reporting import (
    PARALLEL,
    PARALLEL_NOTE,
    Block,
    Column,
    Entry,
    Protocol,
    Results,
    Row,
    RunRecord,
    Table,
    by_dataset,
    by_row,
    clock,
    clock_line,
    digits,
    parallel,
    size,
)

STAGES = ("fit", "encode_query", "encode_database", "rehash", "search")  # of one evaluated round
ONCE = "fit_pool"  # before round 0
_OTHER = {"": "CPU seconds of all threads", "_cpu": "wall clock"}


def render(results: Results) -> Table:
    """Means over evaluated rounds and seeds; one block per protocol and dataset.

    Runs that shared the machine with others (``--jobs`` above 1) are marked. No entry is marked as best:
    it would be picked across code lengths.
    """
    parts = ((p, [_Costs(p, ran) for ran in by_row(p.records)]) for p in by_dataset(results))
    return Table.of("Time and memory", ((_block(p, costs), [c.data() for c in costs]) for p, costs in parts))


class _Costs:
    """The numbers of one row."""

    def __init__(self, protocol: Protocol, records: Sequence[RunRecord]) -> None:
        self.protocol, self.records = protocol, records
        self.ran = [r for r in records if not r.word]
        self.parallel = parallel(self.ran)

    def seconds(self, stage: str) -> float | None:
        """Mean over rounds and seeds; a round without the stage spent nothing on it. Pool: per run."""
        if not any(stage in x.seconds for r in self.ran for x in r.rounds):
            return None
        totals = [sum(x.seconds.get(stage, 0.0) for x in r.rounds) for r in self.ran]
        rounds = [1 if stage.startswith(ONCE) else len(r.rounds) for r in self.ran]
        return statistics.fmean(t / n for t, n in zip(totals, rounds, strict=True))

    def state_bytes(self) -> float | None:
        """After the last round: the state of an online method should not grow."""
        return statistics.fmean(r.rounds[-1].state_bytes for r in self.ran) if self.ran else None

    def bits_rewritten(self) -> float | None:
        """Mean over the rounds that had an earlier index."""
        counts = [x.bits_rewritten for r in self.ran for x in r.rounds if x.bits_rewritten is not None]
        return statistics.fmean(counts) if counts else None

    def row(self, stages: Sequence[str], main: str) -> Row:
        """``main`` is the clock that comes first: "" for wall clock, or "_cpu"."""
        label, bits = self.records[0].spec.label, Entry(str(self.records[0].spec.bits))
        name = self.protocol.part(self.records).name(label, PARALLEL if self.parallel else "")
        if not self.ran:
            return (name, bits, Entry(self.records[0].word), *[Entry()] * (len(stages) + 1))
        memory, rewritten = self.state_bytes(), self.bits_rewritten()
        return (
            name,
            bits,
            *(self._entry(stage, main) for stage in stages),
            Entry() if memory is None else Entry(size(memory)),
            Entry() if rewritten is None else Entry(f"{rewritten:,.0f}"),
        )

    def _entry(self, stage: str, main: str) -> Entry:
        first, second = self.seconds(f"{stage}{main}"), self.seconds(stage if main else f"{stage}_cpu")
        if first is None:
            return Entry()
        return Entry(_seconds(first), below="" if second is None else f"({_seconds(second)})")

    def data(self) -> dict[str, Any]:
        stages = [name for stage in (ONCE, *STAGES) for name in (stage, f"{stage}_cpu")]
        return {
            **self.protocol.columns(self.records[0]),
            "n": len(self.ran),
            "rounds": sum(len(r.rounds) for r in self.ran),
            **{f"{stage}_seconds": self.seconds(stage) for stage in stages},
            "state_bytes": self.state_bytes(),
            "bits_rewritten": self.bits_rewritten(),
            "parallel": self.parallel,
            **self.protocol.outcome(self.records),
        }


def _block(protocol: Protocol, costs: Sequence[_Costs]) -> Block:
    stages = [s for s in (ONCE, *STAGES) if s in STAGES or any(c.seconds(s) is not None for c in costs)]
    main = clock(protocol.records)
    columns = [Column("method", align="left"), Column("bits")]
    for stage in stages:
        group, _, name = stage.rpartition("_")
        columns.append(Column(name, group=group))
    columns += [Column("state"), Column("bits", group="rewritten")]
    return Block(
        caption=(
            f"{clock_line(main)}, mean over evaluated rounds and seeds; in brackets {_OTHER[main]}",
            "fit and encode database sum the rounds since the previous evaluation; fit pool is once per run",
            *protocol.caption(),
        ),
        columns=tuple(columns),
        rows=tuple(c.row(stages, main) for c in costs),
        notes=(*_legend(costs), *protocol.notes()),
        stub=2,
        brief=f"Time and memory on {', '.join(protocol.datasets)}, in {'CPU seconds' if main else 'seconds'}",
        protocol=protocol.slug,
    )


def _legend(costs: Sequence[_Costs]) -> Iterator[str]:
    if any(c.parallel for c in costs):
        yield PARALLEL_NOTE
    machines = {_machine(r.environment): None for c in costs for r in c.ran}
    if len(machines) > 1:
        yield "timed in different environments, so not comparable: " + " | ".join(machines)
    else:
        yield from (f"timed on {machine}" for machine in machines if machine)


def _machine(environment: Mapping[str, Any]) -> str:
    system = " ".join(str(environment[k]) for k in ("system", "cpu", "machine") if environment.get(k))
    parts = [f"{k}: {environment[k]}" for k in ("cores", "threads") if k in environment]
    return ", ".join([system, *parts] if system else parts)


def _seconds(value: float) -> str:
    """Three digits from 1 s on, milliseconds below."""
    return "<.001" if value < 0.0005 else digits(value)
