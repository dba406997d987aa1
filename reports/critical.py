"""Critical-difference diagram: mean ranks of methods over datasets × bits, with Nemenyi's test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.errors import ParameterError
from bench.records import RunRecord
from bench.reporting.figures import Figure, Plot
from bench.reporting.significance import LEVEL, Ranks, ranks
from bench.reports._metric import check_metric, definition, metric_title
from bench.reports._panels import by_label, part_name
from bench.reports._protocol import Protocol, dataset_of, protocols
from bench.reports._style import WIDTH, Look, figure, looks


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """One diagram per protocol in which three methods share two blocks.

    A block is a dataset at a code length; its score is the mean over seeds and directions after the
    last round. Methods that lack a block, and those that are no rivals, are left out.
    """
    check_metric(records, metric)
    styles = looks(records, cast)
    found = [(p, r) for p in protocols(records) if (r := _ranks(p, metric)) is not None]
    if not found:
        raise ParameterError(
            f"report 'critical': no protocol among {len(records)} cells has three methods on two blocks "
            "(datasets × bits). Run more methods, bits or datasets."
        )
    plots, data = [], []
    for number, (protocol, (result, blocks)) in enumerate(found):
        plots.append(
            Plot(
                name=part_name(number, "critical") if len(found) > 1 else "",
                caption=(
                    f"mean rank by {metric_title(metric)} over {blocks} blocks, 1 is best",
                    f"{definition(metric)}, after the last round",
                    "a block is a dataset at a code length, mean over seeds and directions",
                    f"Friedman p = {result.friedman:.2g}",
                    f"bars join methods that Nemenyi's test does not part at {LEVEL:g}",
                    "blocks of one dataset at several code lengths are not independent, so p is too small",
                    *protocol.caption(metric=metric),
                ),
                notes=protocol.notes(stale or {}),
                draw=partial(_draw, result, styles),
            )
        )
        ran = by_label([r for r in protocol.records if not r.word])
        data += [
            {**protocol.columns(*ran[name]), "metric": metric, "rank": float(rank), "blocks": blocks}
            for name, rank in zip(result.names, result.ranks, strict=True)
        ]
    return figure("Critical differences", plots, data)


def _ranks(protocol: Protocol, metric: str) -> tuple[Ranks, int] | None:
    scores: dict[str, dict[tuple[str, int], list[float]]] = {}
    for r in protocol.records:
        if not r.word and not r.reference:
            values = [r.rounds[-1].metrics[f"{metric}/{d}"] for d in r.spec.directions]
            place = dataset_of(r), r.spec.bits
            scores.setdefault(r.spec.label, {}).setdefault(place, []).append(float(np.mean(values)))
    blocks = sorted({place for by_place in scores.values() for place in by_place})
    names = [name for name, by_place in scores.items() if len(by_place) == len(blocks)]
    if len(names) < 3 or len(blocks) < 2:
        return None
    table = np.array([[np.mean(scores[name][place]) for name in names] for place in blocks])
    return None if np.isnan(table).any() else (ranks(names, table), len(blocks))


def _draw(result: Ranks, styles: Mapping[str, Look]) -> Any:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas
    from scikit_posthocs import critical_difference_diagram

    names = list(result.names)
    canvas = Canvas(figsize=(WIDTH, 0.16 * len(names) + 0.8), layout="constrained")
    axis = canvas.subplots()
    drawn = critical_difference_diagram(
        pd.Series(result.ranks, index=names),
        pd.DataFrame(result.nemenyi, index=names, columns=names),
        ax=axis,
        alpha=LEVEL,
        color_palette={name: styles[name].color for name in names},
        label_fmt_left="{label} ({rank:.2f})  ",
        label_fmt_right="  ({rank:.2f}) {label}",
        crossbar_props={"color": "black", "linewidth": 1.8, "marker": ""},
        text_h_margin=0.02,
    )
    for [bar] in drawn["crossbars"]:  # its points stand in the order of a set, another in every process
        bar.set_xdata(sorted(bar.get_xdata()))
    axis.grid(visible=False)
    return canvas
