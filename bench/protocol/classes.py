"""Classes that are kept out of training: their items are queries and database.

So Sablayrolles et al. measure hashing (ICASSP 2017, "How should we evaluate supervised hashing?"). A method
that is judged on classes that it was trained on can hash by guessing the class; here it cannot.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bench.contract.items import Labels, Rows, Split
from bench.errors import DataError, ParameterError
from bench.protocol.seeds import derive
from bench.records import RunSpec

Mask = npt.NDArray[np.bool_]


def held_out(spec: RunSpec, classes: int) -> Mask:
    """The classes (classes,) that are kept out of training; at least one, and not all.

    They belong to the run's seed; a smaller share is part of a larger one.
    """
    if classes < 2:
        raise DataError(f"unseen_classes needs a dataset of two classes or more; this one has {classes}.")
    count = min(max(round(spec.unseen_classes * classes), 1), classes - 1)
    held = np.zeros(classes, dtype=bool)
    held[derive(spec.seed, "unseen_classes").permutation(classes)[:count]] = True
    return held


def asked(spec: RunSpec, labels: Labels) -> tuple[Rows, Labels]:
    """The queries among items with these ``labels`` (n, classes), and the labels by which they are judged.

    Where classes are kept out of training, these are the items of such classes, and those labels alone.
    """
    if not spec.unseen_classes:
        return np.arange(len(labels)), labels
    judged = labels * held_out(spec, labels.shape[1]).astype(labels.dtype)
    rows = np.flatnonzero(judged.any(axis=1))
    if not len(rows):
        raise ParameterError(
            f"unseen_classes={spec.unseen_classes:g} with seed {spec.seed}: none of {len(labels)} queries "
            "has a class that is kept out of training. Raise the share."
        )
    return rows, judged[rows]


def queries(spec: RunSpec, query: Split) -> Split:
    """The queries of a cell, with the labels by which they are judged."""
    if not spec.unseen_classes or query.labels is None:
        return query
    rows, labels = asked(spec, query.labels)
    return replace(query.take(rows), labels=labels)


def held_items(spec: RunSpec, labels: Labels | None) -> Mask | None:
    """The items (n,) that have a class that is kept out of training; None where no class is."""
    if not spec.unseen_classes or labels is None:
        return None
    return np.asarray(labels[:, held_out(spec, labels.shape[1])].any(axis=1))


def merged(rounds: tuple[Rows, ...], held: Mask) -> tuple[Rows, ...]:
    """The same stream, in which a round without an item to train on joins the next one, or else the last."""
    joined: list[Rows] = []
    waiting = rounds[0][:0]
    for rows in rounds:
        waiting = np.concatenate([waiting, rows])
        if not held[rows].all():
            joined.append(waiting)
            waiting = rows[:0]
    if not joined:
        raise ParameterError(
            f"unseen_classes leaves no item to train on: each of its {len(waiting)} items has a "
            "class that is kept out. Lower the share."
        )
    joined[-1] = np.concatenate([joined[-1], waiting])
    return tuple(joined)
