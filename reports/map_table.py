"""The main table: mAP, or another metric, after the last round, per method, dataset, direction and bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.evidence import Arrays, Evidence
from bench.reporting.tables import Table
from bench.reports._grid import table
from bench.reports._metric import metric_title


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    band: bool = True,
    significance: bool = False,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
) -> Table:
    """Means over seeds, one block per protocol; ``band`` adds what the order of ties can change.

    ``significance`` marks what cannot be told from the best of its column; it reads the histograms of
    all cells and is made for ``map`` alone.
    """
    if significance and metric != "map":
        raise ParameterError(
            f"significance is tested on the AP of queries, so for map alone; got {metric!r}."
        )
    evidence = Evidence.of(arrays, "map_table") if significance else None
    title = metric_title(metric)
    return table(records, title=title, metric=metric, stale=stale or {}, band=band, evidence=evidence)
