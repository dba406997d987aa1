"""The curves of a record's last round at a few points, in thousandths: what the page draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.records import Direction, RunRecord
from bench.reporting.evidence import Evidence, Values

MOST_RADII = 40  # steps of a curve by radius, however long the codes

Curve = dict[str, list[int]]


def collect(records: Sequence[RunRecord], evidence: Evidence) -> dict[str, dict[str, Curve]]:
    """Key of a record → direction → its curves, for every record that has arrays."""
    evidence.prepare(records)
    return {
        record.spec.key: {d: _of(record, d, evidence) for d in record.spec.directions}
        for record in records
        if record.rounds and record.arrays
    }


def radii(bits: int) -> list[int]:
    """The radii of a curve, from 0 to ``bits``.

    >>> radii(4)
    [0, 1, 2, 3, 4]
    """
    steps = min(bits, MOST_RADII)
    return [(2 * i * bits + steps) // (2 * steps) for i in range(steps + 1)]


def _of(record: RunRecord, direction: Direction, evidence: Evidence) -> Curve:
    """Precision and recall by rank (pn, rn) and, where distances are bits, by radius (pr, rr)."""
    search = evidence.search(record, direction)
    if np.isnan(search.ranks).any():  # no query has a relevant item
        return {}
    found = dict(zip(("pn", "rn"), search.ranks, strict=True))
    if record.compares_codes:
        found |= zip(("pr", "rr"), search.radius[:, radii(record.spec.bits)], strict=True)
    return {name: _thousandths(values) for name, values in found.items()}


def _thousandths(values: Values) -> list[int]:
    return [int(v) for v in np.rint(1000 * values)]
