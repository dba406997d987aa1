"""Precision among the first R items, expected over the orders of tied items, and within a radius."""

from __future__ import annotations

import numpy as np

from bench.metrics import Ranking, Values, metric


@metric(takes="R")
def at_cut(ranking: Ranking, cut: int) -> Values:
    """Expected share of relevant items among the first R."""
    return ranking.hits(cut) / cut


@metric(takes="radius")
def within_radius(ranking: Ranking, radius: int) -> Values:
    """Share of relevant items within a Hamming radius; 0 where nothing is within it."""
    found: Values = ranking.items[:, : radius + 1].sum(axis=1)
    return ranking.hits_within(radius) / np.maximum(found, 1)
