"""Own report: score and seconds of training of every cell, the quickest first."""

from typing import Annotated, Any

from bench.reporting import Block, Column, Entry, Metric, ParameterError, Results, Table, metric_title


def render(results: Results, *, metric: Metric = "map", top: Annotated[int, "cells to show"] = 20) -> Table:
    """One row per cell: the mean of a metric over directions after the last round, and seconds of fitting."""
    data: list[dict[str, Any]] = []
    for record in results:
        if not record.word:  # else it was skipped or failed
            scores = [record.rounds[-1].metrics[f"{metric}/{d}"] for d in record.spec.directions]
            row = {"cell": str(record.spec), "seconds": sum(record.fit_seconds)}
            data.append({**row, "value": sum(scores) / len(scores)})
    if not data:
        raise ParameterError("no cell has numbers. Run some first: bench run.")
    data = sorted(data, key=lambda row: row["seconds"])[:top]
    block = Block(
        caption=("mean over directions after the last round; seconds of fitting, all rounds together",),
        columns=(
            Column("cell", align="left"),
            Column("seconds"),
            Column(metric_title(metric), better="higher"),
        ),
        rows=tuple(
            (
                Entry(row["cell"]),
                Entry(f"{row['seconds']:.2f}"),
                Entry(f"{row['value']:.3f}", value=row["value"]),
            )
            for row in data
        ),
    )
    return Table(title="What a second of training buys", blocks=(block,), data=data)
