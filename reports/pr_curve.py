"""Precision and recall within every Hamming radius after the last round, from stored histograms."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.reporting import (
    DIRECTION_NAMES,
    DIRECTIONS,
    WITHIN_RADIUS,
    Block,
    Column,
    Direction,
    Entry,
    Protocol,
    Results,
    Row,
    Table,
    by_dataset,
    by_label,
    pr_curve,
)

Curve = npt.NDArray[np.float64]  # (2, bits + 1): precision, recall

_DEFINITION = (
    "precision P and recall R of the items within the radius, after the last round, mean over queries, "
    "then over seeds"
)


def render(results: Results) -> Table:
    """Means over queries, then over seeds; one block per protocol, dataset, bits and direction.

    A radius has no ties to break, so the curve is a function of the codes alone. Within a radius
    that holds no item a query's precision is 0. Methods without a radius are left out.
    """
    hashing = results.select(lambda r: r.compares_codes)
    title = "Precision and recall by Hamming radius"
    return Table.of(
        title, (_block(*place) for protocol in by_dataset(hashing) for place in _places(protocol))
    )


def _places(protocol: Protocol) -> Iterator[tuple[Protocol, Direction]]:
    for bits in sorted({r.spec.bits for r in protocol.records}):
        part = protocol.part(r for r in protocol.records if r.spec.bits == bits)
        for direction in DIRECTIONS:
            if direction in part.records[0].spec.directions:
                yield part, direction


def _block(part: Protocol, direction: Direction) -> tuple[Block, Iterator[dict[str, Any]]]:
    evidence, bits = part.results.evidence, part.records[0].spec.bits
    curves = {
        label: [np.stack(pr_curve(evidence.histograms(r, direction))) for r in mine if not r.word]
        for label, mine in by_label(part.records).items()
    }
    means = {label: np.mean(seeds, axis=0) if seeds else None for label, seeds in curves.items()}
    columns = [Column("radius")]
    for label in curves:
        name = part.name(label)
        columns += [Column(letter, group=name.text + name.extra) for letter in "PR"]
    most = max(map(len, curves.values()))
    few = [f"{label} n={len(seeds)}" for label, seeds in curves.items() if 0 < len(seeds) < most]
    block = Block(
        caption=(
            f"{DIRECTION_NAMES[direction]}, {bits} bits: {_DEFINITION}",
            *WITHIN_RADIUS,
            *part.caption(),
        ),
        columns=tuple(columns),
        rows=tuple(
            (Entry(str(radius)), *(entry for mean in means.values() for entry in _pair(mean, radius)))
            for radius in range(bits + 1)
        ),
        notes=(*([f"fewer seeds than the others: {', '.join(few)}"] if few else []), *part.notes()),
        protocol=part.slug,
    )
    return block, _data(part, direction, curves)


def _pair(mean: Curve | None, radius: int) -> Row:
    return (Entry(), Entry()) if mean is None else tuple(Entry(f"{value:.3f}") for value in mean[:, radius])


def _data(
    part: Protocol, direction: Direction, curves: Mapping[str, list[Curve]]
) -> Iterator[dict[str, Any]]:
    first = {label: mine[0] for label, mine in by_label(part.records).items()}
    for label, seeds in curves.items():
        common = {**part.columns(first[label]), "direction": direction, "n": len(seeds)}
        for radius, (precision, recall) in enumerate(np.mean(seeds, axis=0).T if seeds else ()):
            yield {**common, "radius": radius, "precision": float(precision), "recall": float(recall)}
