"""Scores of old queries along a class-incremental stream, for the figure and the table on forgetting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError
from bench.records import Direction, RunRecord
from bench.reporting.evidence import Evidence

Values = npt.NDArray[np.float64]


def class_incremental(records: Sequence[RunRecord], report: str) -> list[RunRecord]:
    """The cells of class-incremental streams of which every round was evaluated."""
    found = [
        r
        for r in records
        if r.spec.schedule.order == "class_incremental" and r.spec.evaluate == "all" and len(r.rounds) > 1
    ]
    if not found:
        raise ParameterError(
            f"report {report!r}: none of {len(records)} cells has every round of a class-incremental stream. "
            "Run them with --schedule class_incremental:5 --evaluate all."
        )
    return found


def groups(record: RunRecord, direction: Direction, evidence: Evidence) -> tuple[Values, Values]:
    """Mean AP and mean chance, each (rounds, rounds).

    Row t, column j are the queries of round j after round t; NaN where j > t, or where none of them
    has anything to find.
    """
    introduced = evidence.introduced(record)
    rounds = [r.round for r in record.rounds]
    scores, chance = np.full((2, len(rounds), len(rounds)), np.nan)
    for t, number in enumerate(rounds):
        ap, equal = (
            evidence.search(record, direction, number).scores,
            evidence.chance(record, direction, number),
        )
        for j in range(t + 1):
            mine = introduced == rounds[j]
            scores[t, j], chance[t, j] = _mean(ap[mine]), _mean(equal[mine])
    return scores, chance


def old_queries(record: RunRecord, direction: Direction, evidence: Evidence) -> tuple[Values, Values]:
    """Mean AP, and mean chance, of the queries introduced before each round from the second on."""
    introduced = evidence.introduced(record)
    found: list[tuple[float, float]] = []
    for entry in record.rounds[1:]:
        old = introduced < entry.round
        ap = evidence.search(record, direction, entry.round).scores
        found.append((_mean(ap[old]), _mean(evidence.chance(record, direction, entry.round)[old])))
    scores, chance = np.array(found).T
    return scores, chance


def backward_transfer(matrix: Values) -> float:
    """Mean over groups of the change from the round that introduced them to the last one.

    Lopez-Paz and Ranzato, Gradient Episodic Memory, NeurIPS 2017, eq. 3. Negative: forgotten.
    """
    return _mean(matrix[-1, :-1] - np.diag(matrix)[:-1])


def forgetting(matrix: Values) -> float:
    """Mean over groups of the fall from their best round to the last one.

    Chaudhry et al., Riemannian Walk, ECCV 2018, section 3.
    """
    best = np.array([np.nanmax(column) if np.any(~np.isnan(column)) else np.nan for column in matrix[:-1].T])
    return _mean(best[:-1] - matrix[-1, :-1])


def _mean(values: npt.NDArray[np.floating]) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean(dtype=np.float64)) if len(kept) else float("nan")
