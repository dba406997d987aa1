"""Own report: what a second of training buys; score and fit time of every cell, the cheapest first."""

from collections.abc import Iterable

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.tables import Block, Cell, Column, Table


def render(results: Iterable[RunRecord], *, metric: str = "map") -> Table:
    """One row per cell with numbers: the mean over directions after the last round, and seconds of fit."""
    data = []
    for record in results:
        if record.status == "ok":
            scores = record.rounds[-1].metrics
            values = [scores[f"{metric}/{direction}"] for direction in record.spec.directions]
            data.append(
                {
                    "cell": str(record.spec),
                    "seconds": sum(record.fit_seconds),
                    metric: sum(values) / len(values),
                }
            )
    if not data:
        raise ParameterError("own_report: no cell has numbers. Run some first: bench run.")
    data.sort(key=lambda row: row["seconds"])
    block = Block(
        caption=(f"{metric}, mean over directions, after the last round; seconds of fitting, all rounds",),
        columns=(Column("cell", align="left"), Column("seconds"), Column(metric, better="higher")),
        rows=tuple(
            (Cell(row["cell"]), Cell(f"{row['seconds']:.2f}"), Cell(f"{row[metric]:.3f}", value=row[metric]))
            for row in data
        ),
    )
    return Table(title="What a second of training buys", blocks=(block,), data=data)
