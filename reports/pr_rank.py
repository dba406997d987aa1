"""Precision against recall by rank, expected over the orders of tied items."""

import numpy as np

from bench.reporting import Axes, Curve, Figure, Results
from bench.reports._searches import AFTER, search_lines


def render(results: Results) -> Figure:
    """After the last round, at ranks from 1 to the whole database; mean over queries, then over seeds."""
    return search_lines(
        results,
        lambda found: Curve.mean(
            [s.ranks[1] for s in found], [s.ranks[0] for s in found], np.mean([s.cuts for s in found], axis=0)
        ),
        title="Precision and recall by rank",
        axes=Axes(x="recall", y="precision", unit=True, at="N"),
        caption=(
            "precision and recall among the first N items, expected over the orders of tied items",
            "N from 1 to the whole database, where the precision is the chance level",
            AFTER,
        ),
    )
