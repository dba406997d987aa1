"""Time by stage: how the seconds of a stream divide, for every method."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.reporting import (
    PAGE_WIDTH,
    PARALLEL_NOTE,
    Figure,
    Plot,
    Results,
    RunRecord,
    by_row,
    duration,
    parallel,
    parts,
)

_STAGES = {
    "fit_pool": "offline stage",
    "fit": "fit",
    "encode_database": "encode new items",
    "rehash": "re-encode old items",
    "encode_query": "encode queries",
    "search": "search",
}


def render(results: Results) -> Figure:
    """Shares of the wall-clock total, which stands at the end of each bar; mean over seeds."""
    plots = []
    for name, part in parts(results).items():
        cells = by_row(r for r in part.records if not r.word)
        rows = [_row(ran) for ran in cells]
        if rows:
            plot = Plot(
                name=name,
                caption=(
                    "share of wall-clock time by stage over the stream, mean over seeds",
                    "at the right the total",
                    *([PARALLEL_NOTE] if parallel(part.records) else ()),
                    *part.caption(),
                ),
                notes=part.notes(),
                draw=partial(_draw, rows),
            )
            numbers = zip(cells, rows, strict=True)
            plots.append((plot, [{**part.columns(ran[0]), **row["seconds"]} for ran, row in numbers]))
    return Figure.of("Time by stage", plots)


def _row(ran: Sequence[RunRecord]) -> dict[str, Any]:
    """Mean seconds of every stage over the stream; fits of rounds that were not evaluated count too."""
    seconds = {
        stage: float(np.mean([sum(r.seconds.get(stage, 0.0) for r in record.rounds) for record in ran]))
        for stage in _STAGES
    }
    seconds["fit"] = float(np.mean([sum(record.fit_seconds) for record in ran]))
    return {"label": ran[0].spec.label, "bits": ran[0].spec.bits, "seconds": seconds}


def _draw(rows: Sequence[Mapping[str, Any]]) -> Any:
    import seaborn
    from matplotlib.figure import Figure as Canvas

    colours = seaborn.color_palette("viridis", len(_STAGES))
    bits = sorted({r["bits"] for r in rows})
    labels = list(dict.fromkeys(r["label"] for r in rows))
    canvas = Canvas(
        figsize=(PAGE_WIDTH if len(bits) > 1 else 4.5, 0.17 * len(labels) + 1.2), layout="constrained"
    )
    axes = canvas.subplots(1, len(bits), squeeze=False, sharey=True)[0]
    for axis, length in zip(axes, bits, strict=True):
        mine = [r for r in rows if r["bits"] == length]
        places = [labels.index(r["label"]) for r in mine]
        totals = np.array([max(sum(r["seconds"].values()), 1e-12) for r in mine])
        start = np.zeros(len(mine))
        for (stage, name), colour in zip(_STAGES.items(), colours, strict=True):
            share = np.array([r["seconds"][stage] for r in mine]) / totals
            axis.barh(
                places,
                share,
                left=start,
                color=colour,
                label=name,
                height=0.75,
                edgecolor="white",
                linewidth=0.4,
            )
            start += share
        for place, total in zip(places, totals, strict=True):
            axis.text(1.03, place, duration(total), va="center", fontsize=6.5)
        axis.set(title=f"{length} bits", xlim=(0, 1.45), xticks=[0, 0.5, 1], xlabel="share of time")
        axis.set_yticks(range(len(labels)), labels)
        axis.grid(visible=False)
    axes[0].invert_yaxis()
    handles, names = axes[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=3)
    return canvas
