"""Precision and recall within every Hamming radius after the last round, from stored histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError
from bench.records import DIRECTIONS, Direction, RunRecord
from bench.reporting.tables import Block, Column, Entry, Table
from bench.reports._metric import WITHIN_RADIUS
from bench.reports._protocol import DIRECTION_NAMES, STALE, Protocol, Stale, protocols

Arrays = Callable[[RunRecord], Mapping[str, npt.NDArray[Any]]]
Curve = npt.NDArray[np.float64]  # (2, bits + 1): precision, recall

_DEFINITION = (
    "precision P and recall R of the items within the radius, after the last round, mean over queries, "
    "then over seeds"
)


def render(
    records: Sequence[RunRecord], *, arrays: Arrays | None = None, stale: Mapping[str, str] | None = None
) -> Table:
    """Means over queries, then over seeds; one block per protocol, dataset, bits and direction.

    A radius has no ties to break, so the curve is a function of the codes alone. Within a radius
    that holds no item a query's precision is 0. Methods without a radius are left out.
    """
    if arrays is None:
        raise ParameterError(
            "report 'pr_curve' reads stored histograms, and no loader was given. Use it on a results folder: "
            "`bench table --report pr_curve`."
        )
    blocks: list[Block] = []
    data: list[dict[str, Any]] = []
    for protocol in protocols([r for r in records if r.reference != "real-valued"]):
        for part, direction in _parts(protocol):
            curves = _curves(part, direction, arrays)
            blocks.append(_block(part, direction, curves, stale or {}))
            data += _data(part, direction, curves)
    return Table(title="Precision and recall by Hamming radius", blocks=tuple(blocks), data=data)


def _parts(protocol: Protocol) -> Iterator[tuple[Protocol, Direction]]:
    for found in protocol.datasets.values():
        for bits in sorted({r.spec.bits for r in found}):
            part = Protocol(pool=protocol.pool, records=tuple(r for r in found if r.spec.bits == bits))
            for direction in DIRECTIONS:
                if direction in part.records[0].spec.directions:
                    yield part, direction


def _curves(part: Protocol, direction: Direction, arrays: Arrays) -> dict[str, list[Curve]]:
    """The curve of every seed, by method; none for a method without a result."""
    found: dict[str, list[Curve]] = {r.spec.label: [] for r in part.records}
    for record in part.records:
        if not record.word:
            found[record.spec.label].append(_curve(record, direction, arrays))
    return found


def _curve(record: RunRecord, direction: Direction, arrays: Arrays) -> Curve:
    from bench.metrics import pr_curve
    from bench.scoring.hamming import Histograms

    stored = arrays(record)
    entries = [f"{direction}/{record.rounds[-1].round}/{name}" for name in ("counts", "gains", "grades")]
    missing = [name for name in entries if name not in stored]
    if missing:
        raise ParameterError(
            f"{record.spec}: no stored histogram {missing[0]!r}; `bench run --force` makes it again."
        )
    return np.stack(pr_curve(Histograms(*(stored[name] for name in entries))))


def _block(part: Protocol, direction: Direction, curves: Mapping[str, list[Curve]], stale: Stale) -> Block:
    bits = part.records[0].spec.bits
    old = {r.spec.label for r in part.records if stale and r.spec.key in stale}
    means = {label: np.mean(found, axis=0) if found else None for label, found in curves.items()}
    marks = part.marks()
    columns = [Column("radius")]
    for label in curves:
        group = label + marks[label] + (STALE if label in old else "")
        columns += [Column("P", group=group), Column("R", group=group)]
    rows = [
        (Entry(str(radius)), *(cell for mean in means.values() for cell in _pair(mean, radius)))
        for radius in range(bits + 1)
    ]
    title = f"{DIRECTION_NAMES[direction]}, {bits} bits"
    most = max((len(found) for found in curves.values()), default=0)
    few = [f"{label} n={len(c)}" for label, c in curves.items() if 0 < len(c) < most]
    return Block(
        caption=(f"{title}: {_DEFINITION}", *WITHIN_RADIUS, *part.caption()),
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(*([f"fewer seeds than the others: {', '.join(few)}"] if few else []), *part.notes(stale)),
    )


def _pair(mean: Curve | None, radius: int) -> tuple[Entry, Entry]:
    if mean is None:
        return Entry(), Entry()
    return Entry(f"{mean[0, radius]:.3f}"), Entry(f"{mean[1, radius]:.3f}")


def _data(
    part: Protocol, direction: Direction, curves: Mapping[str, list[Curve]]
) -> Iterator[dict[str, Any]]:
    for label, found in curves.items():
        record = next(r for r in part.records if r.spec.label == label)
        common = {**part.columns(record), "direction": direction, "n": len(found)}
        for radius, (precision, recall) in enumerate(np.mean(found, axis=0).T if found else ()):
            yield {**common, "radius": radius, "precision": float(precision), "recall": float(recall)}
