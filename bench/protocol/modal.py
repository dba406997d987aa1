"""Modalities that arrive in turn: the rounds of the schedule ``modal``, and what its items lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.contract.items import MODALITIES, Modality, Rows
from bench.errors import ParameterError
from bench.records import Schedule

Absent = dict[Modality, npt.NDArray[np.bool_]]


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """The items that arrive in the first modality, and those that arrive in the second."""
    middle = (len(rows) + 1) // 2
    return rows[:middle], rows[middle:]


def absent(rounds: Sequence[Rows], n: int, schedule: Schedule) -> Absent:
    """The rows among ``n`` that lack each modality, for rounds of :func:`halves`."""
    first, second = schedule.by.split(",")
    early, late = halves(np.concatenate(rounds))
    masks: Absent = {m: np.zeros(n, dtype=bool) for m in MODALITIES}
    for modality in MODALITIES:
        masks[modality][{second: early, first: late}[modality]] = True
    return masks


def waits(rounds: Sequence[Rows], lacking: Mapping[Modality, npt.NDArray[np.bool_]]) -> int:
    """The first round after which both modalities have arrived, for the rows that methods are shown."""
    first = {
        m: next((at for at, rows in enumerate(rounds) if not lacking[m][rows].all()), None)
        for m in MODALITIES
    }
    for modality, at in first.items():
        if at is None:
            raise ParameterError(
                f"schedule modal: no item to train on has its {modality}, so nothing learns to hash one. "
                "Raise train, or lower unseen_classes."
            )
    return max(at for at in first.values() if at is not None)
