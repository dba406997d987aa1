"""Streams by real time: the rounds of the schedule ``timed``, from the time columns of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from bench.contract import times
from bench.contract.items import Rows
from bench.contract.times import Times
from bench.errors import ParameterError
from bench.records import Schedule

MOST_ROUNDS = 1000
_MOST_NAMED = 24  # rounds that a note lists


def rounds(
    rows: Rows, columns: Mapping[str, Times], schedule: Schedule, rng: np.random.Generator
) -> tuple[Rows, ...]:
    """The rows in order of time, cut where the value changes; equal values come in random order.

    A round has one value, or as many in a row as have ``schedule.size`` items; the last values, which have
    fewer, join the round before (``last=merge``). Rows whose time is unknown are left out.
    """
    places, _ = _order(columns, schedule)
    known = rows[places[rows] >= 0]
    if not len(known):
        raise ParameterError(
            f"schedule {schedule}: {schedule.by} is unknown for every training item. Choose another schedule."
        )
    arrived = known[np.lexsort((rng.permutation(len(known)), places[known]))]
    changes = np.flatnonzero(np.diff(places[arrived])) + 1
    bounds = [0]
    for at in [*changes.tolist(), len(arrived)]:
        if at - bounds[-1] >= schedule.size:
            bounds.append(at)
    if bounds[-1] < len(arrived):
        if schedule.last == "short" or len(bounds) == 1:
            bounds.append(len(arrived))
        bounds[-1] = len(arrived)
    if len(bounds) - 1 > MOST_ROUNDS:
        raise ParameterError(
            f"schedule {schedule} has {len(bounds) - 1} rounds; expected at most {MOST_ROUNDS}. Write "
            f"timed:{schedule.by}:2000 for rounds of 2000 items or more."
        )
    return tuple(arrived[a:b] for a, b in pairwise(bounds))


def notes(cut: Sequence[Rows], columns: Mapping[str, Times], schedule: Schedule) -> tuple[str, ...]:
    """Notes for the record: the times of every round, and how many items have none."""
    places, names = _order(columns, schedule)
    spans = [(names[places[rows].min()], names[places[rows].max()]) for rows in cut]
    shown = [first if first == last else f"{first} to {last}" for first, last in spans]
    if len(shown) > _MOST_NAMED:
        shown[3:-3] = ["…"]
    named = f"rounds by {schedule.by}: {', '.join(shown)}"
    lacking = int((places < 0).sum())
    left_out = f"{lacking} training items whose {schedule.by} is unknown are left out of the stream"
    return (named, left_out) if lacking else (named,)


def _order(columns: Mapping[str, Times], schedule: Schedule) -> tuple[Rows, list[str]]:
    """The place in time of every training item, -1 where unknown, and the names of the places.

    ``year+season`` orders by year, and within a year by season.
    """
    wanted = schedule.by.split("+")
    lacking = [name for name in wanted if name not in columns]
    if lacking:
        has = f"has the time columns {', '.join(columns)}" if columns else "has no time columns"
        raise ParameterError(
            f"schedule {schedule}: the dataset {has}, not {lacking[0]}. Choose another schedule, or add the "
            "column: `bench info DATASET` lists those that it has (docs/datasets.md)."
        )
    places, names = times.order(columns[wanted[0]])
    for name in wanted[1:]:
        finer, within = times.order(columns[name])
        known = (places >= 0) & (finer >= 0)
        joint, again = np.unique((places * len(within) + finer)[known], return_inverse=True)
        places = np.full(len(places), -1)
        places[known] = again
        names = [f"{names[j // len(within)]} {within[j % len(within)]}" for j in joint.tolist()]
    return places, names
