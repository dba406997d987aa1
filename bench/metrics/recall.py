"""Recall among the first R items, expected over the orders of tied items, and within a radius."""

from __future__ import annotations

import numpy as np

from bench.metrics import Ranking, Values, metric


@metric(takes="R")
def at_cut(ranking: Ranking, cut: int) -> Values:
    """Expected share of the relevant items that are among the first R."""
    return ranking.hits(cut) / np.maximum(ranking.total, 1)


@metric(takes="radius")
def within_radius(ranking: Ranking, radius: int) -> Values:
    """Share of the relevant items that are within a Hamming radius."""
    return ranking.hits_within(radius) / np.maximum(ranking.total, 1)
