"""The curves of a record's last round, read off its stored histograms at a few points.

Means over the queries with a relevant item, in thousandths. At a rank inside a group of tied items
the number of hits is its expectation over their orders, so hits are linear in the rank there.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.hamming import usable_threads
from bench.records import RunRecord
from bench.results import Arrays

MOST_RADII = 40  # points of a curve by radius, however long the codes
_DIGITS = (1, 2, 3, 5, 7)  # of the ranks: 1, 2, 3, 5, 7, 10, 20, …

Curve = dict[str, list[int]]


def of_records(records: Iterable[RunRecord], arrays: Arrays) -> dict[str, dict[str, Curve]]:
    """Key of a record → direction → its curves, for every record that has a round."""
    chosen = [r for r in records if r.rounds]
    with ThreadPoolExecutor(usable_threads()) as pool:
        found = pool.map(lambda record: _of_record(record, arrays), chosen)
        return {record.spec.key: curves for record, curves in zip(chosen, found, strict=True)}


def radii(bits: int) -> list[int]:
    """The radii of a curve, from 0 to ``bits``.

    >>> radii(4)
    [0, 1, 2, 3, 4]
    """
    steps = min(bits, MOST_RADII)
    return [round(i * bits / steps) for i in range(steps + 1)]


def ranks(items: int) -> list[int]:
    """The ranks of a curve, up to the size of the database.

    >>> ranks(12)
    [1, 2, 3, 5, 7, 10, 12]
    """
    powers = (10**k for k in range(len(str(items))))
    return [n for power in powers for n in (d * power for d in _DIGITS) if n < items] + [items]


def _of_record(record: RunRecord, arrays: Arrays) -> dict[str, Curve]:
    stored, last = arrays(record), record.rounds[-1].round
    return {
        direction: of_counts(stored[f"{direction}/{last}/counts"], by_radius=not record.reference)
        for direction in record.spec.directions
    }


def of_counts(counts: npt.NDArray[Any], *, by_radius: bool = True) -> Curve:
    """Precision and recall by rank and, where distances are bits, by radius; empty without queries.

    ``counts`` is (queries, distances, 2): items and relevant items at each distance.
    """
    kept = counts[counts[:, :, 1].any(axis=1)]
    if not len(kept):
        return {}
    items, hits = (_nearer(kept[:, :, column]) for column in (0, 1))
    total, size = hits[:, -1:], int(items[0, -1])
    at = np.array(ranks(size))
    offset = np.arange(len(kept))[:, None] * (size + 1.0)  # all queries' ranks on one increasing axis
    found = np.interp((at + offset).ravel(), (items + offset).ravel(), hits.ravel()).reshape(len(kept), -1)
    curve = {"pn": _thousandths(found / at), "rn": _thousandths(found / total)}
    if by_radius:
        chosen = np.array(radii(kept.shape[1] - 1)) + 1
        near, nearby = hits[:, chosen], items[:, chosen]
        curve |= {"pr": _thousandths(near / np.maximum(nearby, 1)), "rr": _thousandths(near / total)}
    return curve


def _nearer(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How many are nearer than each distance 0 … last + 1, float64 (queries, distances + 1)."""
    found = np.zeros((len(counts), counts.shape[1] + 1))
    found[:, 1:] = counts.cumsum(axis=1, dtype=np.int32)
    return found


def _thousandths(values: npt.NDArray[np.float64]) -> list[int]:
    return [int(v) for v in np.rint(1000 * values.mean(axis=0))]
