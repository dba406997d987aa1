"""The main table: mAP, or another metric, after the last round, per method, dataset, direction and bits."""

from typing import Annotated

from bench.reporting import Metric, ParameterError, Results, Table, metric_title
from bench.reports._grid import Average, Band, grids, numbered


def render(
    results: Results,
    *,
    metric: Metric = "map",
    band: Band = True,
    average: Average = False,
    significance: Annotated[bool, "mark entries not significantly different from the best; map only"] = False,
) -> Table:
    """Means over seeds, one block per protocol. ``significance`` reads the histograms of all cells."""
    if significance and metric != "map":
        raise ParameterError(
            f"significance is tested on the AP of queries, so for map alone; got {metric!r}."
        )
    blocks = grids(results, metric=metric, band=band, average=average, significance=significance)
    return Table.of(metric_title(metric), numbered(blocks))
