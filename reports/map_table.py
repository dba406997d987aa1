"""The main table: mAP, or another metric, after the last round, per method, dataset, direction and bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.records import RunRecord
from bench.reports._grid import metric_title, table
from bench.tables import Table


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    band: bool = True,
    stale: Mapping[str, str] | None = None,
) -> Table:
    """Means over seeds, one block per protocol; ``band`` adds what the order of ties can change."""
    title = metric_title(metric)
    return table(records, metric=metric, stale=stale or {}, band=band, title=title, rounds=None)
