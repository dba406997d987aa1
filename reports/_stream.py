"""Streams round by round: which cells have their rounds, and the scores of old queries along the stream."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from bench.reporting import Direction, Evidence, ParameterError, Results, RunRecord, Values
from bench.reports._scores import mean

Deletions = Annotated[bool, "show what methods remember of the items that a runbook deleted"]


def require_rounds(results: Results) -> None:
    """Raise ParameterError where all cells were evaluated after their last round only."""
    if results.records and all(r.spec.evaluate == "last" for r in results):
        raise ParameterError(
            f"all {len(results)} cells were evaluated after their last round only. "
            "Run with --evaluate all, or every:K."
        )


def class_incremental(results: Results) -> Results:
    """The cells of class-incremental streams of which every round was evaluated."""
    chosen = results.select(
        lambda r: (
            r.spec.schedule.order == "class_incremental" and r.spec.evaluate == "all" and len(r.rounds) > 1
        )
    )
    if not chosen.records:
        deleted = any(entry.deleted for r in results for entry in r.rounds)
        raise ParameterError(
            f"none of {len(results)} cells has every round of a class-incremental stream. "
            "Run with --schedule class_incremental:5 --evaluate all."
            + (" For items that a runbook deleted, give --option deletions=true." if deleted else "")
        )
    return chosen


def with_deletions(results: Results) -> Results:
    """The cells whose runbook deletes items, with scores over deleted items of both kinds.

    Raises ParameterError where there are none.
    """
    chosen = results.select(lambda r: any(len(entry.deleted) > 1 for entry in r.rounds))
    if not chosen.records:
        raise ParameterError(
            f"none of {len(results)} cells has deleted items that methods were trained on, and others that "
            "they were not. Run with --schedule runbook:FILE --train 0.5."
        )
    return chosen


def remembered(record: RunRecord, direction: Direction) -> tuple[Values, Values, Values]:
    """Rounds after a deletion (k,), and in each mAP over deleted trained items less that over unseen ones.

    The third is the same difference of the chance levels, which the labels of both alone decide.
    """
    entries = [entry for entry in record.rounds if len(entry.deleted) > 1]

    def gap(name: str) -> Values:
        key = f"{name}/{direction}"
        return np.array(
            [e.deleted["trained"].metrics[key] - e.deleted["unseen"].metrics[key] for e in entries]
        )

    return np.array([entry.round for entry in entries], dtype=np.float64), gap("map"), gap("chance")


def groups(record: RunRecord, direction: Direction, evidence: Evidence) -> tuple[Values, Values]:
    """Mean AP and mean chance, each (rounds, rounds).

    Row t, column j are the queries of round j after round t; NaN where j > t, or where none of them
    has a relevant item.
    """
    introduced = evidence.introduced(record)
    rounds = [r.round for r in record.rounds]
    scores, chance = np.full((2, len(rounds), len(rounds)), np.nan)
    for t, number in enumerate(rounds):
        ap, equal = _per_query(record, direction, number, evidence)
        for j in range(t + 1):
            mine = introduced == rounds[j]
            scores[t, j], chance[t, j] = mean(ap[mine]), mean(equal[mine])
    return scores, chance


def old_queries(record: RunRecord, direction: Direction, evidence: Evidence) -> tuple[Values, Values]:
    """Mean AP, and mean chance, of the queries introduced before each round from the second on."""

    def compute() -> tuple[Values, Values]:
        introduced = evidence.introduced(record)
        pairs: list[tuple[float, float]] = []
        for entry in record.rounds[1:]:
            old = introduced < entry.round
            ap, equal = _per_query(record, direction, entry.round, evidence)
            pairs.append((mean(ap[old]), mean(equal[old])))
        scores, chance = np.array(pairs).T
        return scores, chance

    pair: tuple[Values, Values] = evidence.derived(("old_queries", record.spec.key, direction), compute)
    return pair


def _per_query(
    record: RunRecord, direction: Direction, number: int, evidence: Evidence
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """AP and chance of every query after a round."""
    return evidence.search(record, direction, number).scores, evidence.chance(record, direction, number)


def backward_transfer(matrix: Values) -> float:
    """Mean over groups of the change from the round that introduced them to the last one.

    Lopez-Paz and Ranzato, Gradient Episodic Memory, NeurIPS 2017, eq. 3. Negative: forgotten.
    """
    return mean(matrix[-1, :-1] - np.diag(matrix)[:-1])


def forgetting(matrix: Values) -> float:
    """Mean over groups of the fall from their best round to the last one.

    Chaudhry et al., Riemannian Walk, ECCV 2018, section 3.
    """
    best = np.array([np.nanmax(column) if np.any(~np.isnan(column)) else np.nan for column in matrix[:-1].T])
    return mean(best[:-1] - matrix[-1, :-1])
