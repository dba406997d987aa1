"""Chance level of the mean average precision: its value where all codes are equal."""

from __future__ import annotations

from bench.metrics import Ranking, Values, metric, ties


@metric(takes="R or nothing")
def chance(ranking: Ranking, cut: int | None) -> Values:
    """The value of map where all codes are equal."""
    return ties.average(ties.expected_precisions, ranking.merged(), cut)
