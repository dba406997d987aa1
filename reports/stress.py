"""Every method on every stream at one code length, each with its difference to the tidy stream."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from bench.records import SINCE
from bench.reporting import (
    CONFIDENCE,
    DIRECTION_NAMES,
    Block,
    Column,
    Direction,
    Entry,
    ParameterError,
    Protocol,
    Results,
    RunRecord,
    RunSpec,
    Table,
    Values,
    bootstrap,
    by_label,
    definition,
    grouped,
    protocols,
    reasons,
    short,
)
from bench.reports._scores import mean

_SWEPT = ("schedule", "evaluate", *(name for name in SINCE if name != "train"))
_TIDY = "tidy"
_APART = 0.01  # shares of chunks are rounded, so that a few items more or fewer are trained on
_CAPTION = (
    f"{definition('map')}, after the last round, mean over seeds",
    "tidy: shuffled chunks, with nothing withheld, wrong, late or kept out, and old codes always renewed",
    f"below: the difference to tidy, with its {CONFIDENCE:.0%} bootstrap interval over queries and seeds; "
    + f"without an interval where queries are others, or over {_APART:.0%} more or fewer items searched",
)
_Key = tuple[str, Direction]  # dataset, direction


def render(results: Results, *, bits: Annotated[int, "code length to show; 0 is the longest"] = 0) -> Table:
    """One block per protocol, dataset and direction, at one code length: 0 is the longest.

    Raises ParameterError where no cell has that length, and where no stream is tidy or none is another.
    """
    length = bits or max((r.spec.bits for r in results), default=0)
    chosen = results.select(lambda r: r.spec.bits == length)
    streams = {_stream(r.spec) for r in chosen}
    if _TIDY not in streams or len(streams) == 1:
        missing = "another stream" if streams == {_TIDY} else "a tidy stream"
        raise ParameterError(
            f"stress compares streams, and no cell of {length} bits has {missing}. Run, for instance, with "
            "--schedule shuffled:2000,drift:2000 --noise none,sym:0.4."
        )
    blocks = [(p, key) for p in protocols(chosen, swept=_SWEPT) for key in _keys(p)]
    return Table.of("Stress", ((_block(p, key, rows := _rows(p, key)), rows) for p, key in blocks))


def _stream(spec: RunSpec) -> str:
    """The stream in a few words: ``tidy``, ``drift:500``, ``noise sym:0.4``."""
    order = [] if spec.schedule.order == "shuffled" else [str(spec.schedule)]
    values = {name: getattr(spec, name) for name in _SWEPT if name in SINCE}
    others = [f"{name.replace('_', ' ')} {v}" for name, v in values.items() if v != SINCE[name]]
    return ", ".join([*order, *others]) or _TIDY


def _keys(protocol: Protocol) -> Iterator[_Key]:
    for dataset, records in protocol.datasets.items():
        yield from ((dataset, direction) for direction in records[0].spec.directions)


def _streams(protocol: Protocol, dataset: str) -> list[str]:
    """The streams of a dataset, the tidy one first."""
    streams = dict.fromkeys(_stream(r.spec) for r in protocol.datasets[dataset])
    return sorted(streams, key=lambda name: name != _TIDY)


def _rows(protocol: Protocol, key: _Key) -> list[dict[str, Any]]:
    """One for every method and stream; the difference is None without a tidy stream of the method."""
    dataset, direction = key
    rows = []
    for records in by_label(protocol.datasets[dataset]).values():
        streams = grouped(records, lambda r: _stream(r.spec))
        tidy, among = _scores(protocol, streams.get(_TIDY, ()), direction), _items(streams.get(_TIDY, ()))
        for stream in _streams(protocol, dataset):
            if mine := streams.get(stream, ()):
                scores = _scores(protocol, mine, direction)
                paired = all(abs(among.get(seed, n) - n) <= _APART * n for seed, n in _items(mine).items())
                numbers = _difference(scores, tidy, paired) if stream != _TIDY else (None, None, None)
                rows.append(
                    {
                        **protocol.columns(*mine),
                        "direction": direction,
                        "stream": stream,
                        "seeds": len(scores),
                        "value": float(np.mean([mean(s) for s in scores.values()])) if scores else None,
                        "chance": _chance(mine, direction),
                        **dict(zip(("difference", "low", "high"), numbers, strict=True)),
                        "word": next((r.word for r in mine if r.word), ""),
                        "reason": reasons(mine),
                    }
                )
    return rows


def _scores(protocol: Protocol, records: Sequence[RunRecord], direction: Direction) -> dict[int, Values]:
    """The AP of every query by seed."""
    search = protocol.results.evidence.search
    return {r.spec.seed: search(r, direction).scores.astype(np.float64) for r in records if not r.word}


def _items(records: Sequence[RunRecord]) -> dict[int, int]:
    """The number of items searched after the last round, by seed."""
    return {r.spec.seed: r.rounds[-1].items for r in records if not r.word}


def _chance(records: Sequence[RunRecord], direction: Direction) -> float | None:
    levels = [r.rounds[-1].metrics[f"chance/{direction}"] for r in records if not r.word]
    return float(np.mean(levels)) if levels else None


def _difference(
    scores: Mapping[int, Values], tidy: Mapping[int, Values], paired: bool
) -> tuple[float | None, float | None, float | None]:
    """The mean over the seeds that both have, minus that of tidy.

    It has an interval where it is ``paired``, over as many items, and the queries pair up.
    """
    seeds = sorted(scores.keys() & tidy.keys())
    if not seeds:
        return None, None, None
    if not paired or any(len(scores[s]) != len(tidy[s]) for s in seeds):
        return float(np.mean([mean(scores[s]) - mean(tidy[s]) for s in seeds])), None, None
    gap = np.stack([scores[s] - tidy[s] for s in seeds])
    gap = gap[:, ~np.isnan(gap).any(axis=0)]
    [(low, high)] = bootstrap([gap])
    return float(gap.mean()) if gap.size else None, low, high


def _block(protocol: Protocol, key: _Key, rows: Sequence[Mapping[str, Any]]) -> Block:
    dataset, direction = key
    streams = _streams(protocol, dataset)
    cells = {(row["method"], row["stream"]): row for row in rows}
    lines = {
        label: (protocol.name(label), *(_entry(cells.get((label, stream))) for stream in streams))
        for label in dict.fromkeys(row["method"] for row in rows)
    }
    levels = [next((r["chance"] for r in rows if r["stream"] == s and r["value"]), None) for s in streams]
    chance = (Entry("chance"), *(Entry() if level is None else Entry(short(level)) for level in levels))
    group = f"{dataset} {DIRECTION_NAMES[direction]}, {protocol.records[0].spec.bits} bits"
    return Block(
        caption=(
            *_CAPTION,
            *protocol.caption(swept=_SWEPT),
        ),
        columns=(
            Column("method", align="left"),
            *(Column(stream, group=group, align="left", better="higher") for stream in streams),
        ),
        rows=tuple(line for label, line in lines.items() if label not in protocol.references),
        foot=(*(line for label, line in lines.items() if label in protocol.references), chance),
        notes=protocol.notes(),
        protocol=protocol.slug,
    )


def _entry(row: Mapping[str, Any] | None) -> Entry:
    if row is None:
        return Entry()
    if row["value"] is None:
        return Entry(row["word"])
    below = ""
    if row["difference"] is not None:
        below = short(row["difference"], signed=True)
        if row["low"] is not None:
            below += f" [{short(row['low'], signed=True)}, {short(row['high'], signed=True)}]"
    return Entry(short(row["value"]), row["value"], below=below)
