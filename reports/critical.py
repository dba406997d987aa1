"""Critical-difference diagram: mean ranks of methods over datasets × bits, with Nemenyi's test."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.reporting import (
    LEVEL,
    PAGE_WIDTH,
    Figure,
    Metric,
    ParameterError,
    Plot,
    Protocol,
    Ranks,
    Results,
    by_label,
    check_metric,
    dataset_of,
    definition,
    metric_title,
    part_name,
    protocols,
    ranks,
)


def render(results: Results, *, metric: Metric = "map") -> Figure:
    """One diagram per protocol in which three methods share two blocks.

    A block is a dataset at a code length; its score is the mean over seeds and directions after the
    last round. Methods that lack a block, constant codes and references are left out.
    """
    check_metric(results, metric)
    ranked = [(p, r) for p in protocols(results) if (r := _ranks(p, metric)) is not None]
    if not ranked:
        raise ParameterError(
            f"no protocol among {len(results)} cells has three methods on two blocks "
            "(datasets × bits). Run more methods, bits or datasets."
        )
    parts = (_plot(number, protocol, metric, *r) for number, (protocol, r) in enumerate(ranked))
    return Figure.of("Critical differences", parts)


def _plot(
    number: int, protocol: Protocol, metric: str, result: Ranks, blocks: int
) -> tuple[Plot, Iterator[dict[str, Any]]]:
    least = difference(len(result.names), blocks)
    colours = {name: protocol.results.looks[name].color for name in result.names}
    plot = Plot(
        name=part_name(number, "critical"),
        caption=(
            f"mean rank by {metric_title(metric)} over {blocks} blocks, 1 is best",
            f"{definition(metric)}, after the last round",
            "a block is a dataset at a code length, mean over seeds and directions",
            f"Friedman p = {result.friedman:.2g}",
            f"bars join methods that Nemenyi's test does not separate at {LEVEL:g}",
            f"CD: the critical difference of two mean ranks, {least:.2f}",
            "blocks of one dataset at several code lengths are not independent, so p is too small",
            "the tests are over blocks; how much seeds differ plays no part",
            *protocol.caption(metric=metric),
        ),
        notes=protocol.notes(),
        draw=partial(_draw, result, colours, least),
    )
    ran = by_label(r for r in protocol.records if not r.word)
    numbers = (
        {**protocol.columns(*ran[name]), "metric": metric, "rank": float(rank), "blocks": blocks}
        for name, rank in zip(result.names, result.ranks, strict=True)
    )
    return plot, numbers


def _ranks(protocol: Protocol, metric: str) -> tuple[Ranks, int] | None:
    scores: dict[str, dict[tuple[str, int], list[float]]] = {}
    for r in protocol.rivals:
        values = [r.rounds[-1].metrics[f"{metric}/{d}"] for d in r.spec.directions]
        place = dataset_of(r), r.spec.bits
        scores.setdefault(r.spec.label, {}).setdefault(place, []).append(float(np.mean(values)))
    blocks = sorted({place for by_place in scores.values() for place in by_place})
    names = [name for name, by_place in scores.items() if len(by_place) == len(blocks)]
    if len(names) < 3 or len(blocks) < 2:
        return None
    table = np.array([[np.mean(scores[name][place]) for name in names] for place in blocks])
    return None if np.isnan(table).any() else (ranks(names, table), len(blocks))


def difference(methods: int, blocks: int) -> float:
    """Nemenyi's critical difference of two mean ranks at LEVEL.

    Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006), section 3.2.2.

    >>> round(difference(5, 30), 3)
    1.114
    """
    from scipy.stats import studentized_range

    quantile = studentized_range.ppf(1 - LEVEL, methods, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * blocks)))


def _draw(result: Ranks, colours: Mapping[str, Any], width: float) -> Any:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas
    from scikit_posthocs import critical_difference_diagram

    names = list(result.names)
    canvas = Canvas(figsize=(PAGE_WIDTH, 0.16 * len(names) + 0.8), layout="constrained")
    axis = canvas.subplots()
    drawn = critical_difference_diagram(
        pd.Series(result.ranks, index=names),
        pd.DataFrame(result.nemenyi, index=names, columns=names),
        ax=axis,
        alpha=LEVEL,
        color_palette=dict(colours),
        label_fmt_left="{label} ({rank:.2f})  ",
        label_fmt_right="  ({rank:.2f}) {label}",
        crossbar_props={"color": "black", "linewidth": 1.8, "marker": ""},
        text_h_margin=0.02,
    )
    for [bar] in drawn["crossbars"]:  # its points stand in the order of a set, another in every process
        bar.set_xdata(sorted(bar.get_xdata()))
    axis.grid(visible=False)
    _bar(axis, width)
    return canvas


def _bar(axis: Any, width: float) -> None:
    """The critical difference to scale, above the axis of ranks, from the best rank on."""
    bar = {"color": "black", "linewidth": 1.0, "clip_on": False, "transform": axis.get_xaxis_transform()}
    end = 1 + width
    axis.plot([1, end], [1.16, 1.16], marker="|", markersize=5, **bar)
    axis.text(end, 1.16, f"  CD = {width:.2f}", va="center", transform=axis.get_xaxis_transform())
