"""mAP, or another metric, against the code length: a panel per dataset and direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.reporting import (
    BASELINE,
    DIRECTION_NAMES,
    DIRECTIONS,
    Curve,
    Figure,
    Look,
    Metric,
    ParameterError,
    Plot,
    Protocol,
    Results,
    RunRecord,
    by_label,
    chance_name,
    check_metric,
    columns_of,
    definition,
    draw_curve,
    grid,
    label_edges,
    legend,
    metric_title,
    part_name,
    protocols,
)

_Panels = Mapping[tuple[str, str], Mapping[str, Curve]]  # dataset, direction → method → curve


def render(results: Results, *, metric: Metric = "map") -> Figure:
    """After the last round, mean over seeds; one plot per protocol that has several code lengths."""
    check_metric(results, metric)
    several = [p for p in protocols(results) if len({r.spec.bits for r in p.records if not r.word}) > 1]
    if not several:
        raise ParameterError(
            f"report 'bits': no protocol among {len(results)} cells has two code lengths. Run --bits 16,32."
        )
    title = metric_title(metric)
    return Figure.of(f"{title} against bits", (_plot(i, p, metric) for i, p in enumerate(several)))


def _plot(number: int, protocol: Protocol, metric: str) -> tuple[Plot, Iterator[dict[str, Any]]]:
    panels = {(name, d): _curves(ran, metric, d) for name, ran, d in _places(protocol)}
    plot = Plot(
        name=part_name(number, "bits"),
        caption=(
            f"{definition(metric)}, after the last round",
            "mean over seeds; band: standard deviation over seeds",
            *protocol.caption(metric=metric),
        ),
        notes=protocol.notes(),
        draw=partial(_draw, panels, protocol.results.looks, metric_title(metric)),
    )
    return plot, _data(protocol, panels, metric)


def _places(protocol: Protocol) -> Iterator[tuple[str, list[RunRecord], str]]:
    for name, records in protocol.datasets.items():
        for direction in DIRECTIONS:
            if direction in records[0].spec.directions:
                yield name, [r for r in records if not r.word], direction


def _curves(ran: Sequence[RunRecord], metric: str, direction: str) -> dict[str, Curve]:
    key, chance = f"{metric}/{direction}", f"{chance_name(metric)}/{direction}"
    scored = [r for r in ran if key in r.rounds[-1].metrics]
    curves = {label: _curve(mine, key) for label, mine in by_label(scored).items()}
    if level := [r for r in ran if chance in r.rounds[-1].metrics]:
        curves[BASELINE] = _curve(level, chance)
    return curves


def _curve(ran: Sequence[RunRecord], key: str) -> Curve:
    bits = sorted({r.spec.bits for r in ran})
    values = [[r.rounds[-1].metrics[key] for r in ran if r.spec.bits == b] for b in bits]
    spread = [np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values]
    return Curve(np.array(bits, float), np.array([np.mean(v) for v in values]), np.array(spread))


def _draw(panels: _Panels, looks: Mapping[str, Look], title: str) -> Any:
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    datasets = list(dict.fromkeys(name for name, _ in panels))
    directions = list(dict.fromkeys(d for _, d in panels))
    # One dataset: directions side by side; several: a column each.
    wide = len(datasets) == 1
    canvas, places = grid(
        1 if wide else len(directions), len(directions) if wide else len(datasets), sharex=True, sharey=wide
    )
    for (name, direction), curves in panels.items():
        row, column = directions.index(direction), datasets.index(name)
        axis = places[(0, row) if wide else (row, column)]
        axis.set_title(f"{name}, {DIRECTION_NAMES[direction]}")
        for label, curve in curves.items():
            draw_curve(axis, label, curve, looks, markers=True)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_locator(FixedLocator(sorted({x for c in curves.values() for x in c.x})))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(ScalarFormatter())
    label_edges(places, "bits", title)
    legend(canvas, places)
    return canvas


def _data(protocol: Protocol, panels: _Panels, metric: str) -> Iterator[dict[str, Any]]:
    for (name, direction), curves in panels.items():
        part = protocol.part(protocol.datasets[name])
        for label, curve in curves.items():
            for i, bits in enumerate(curve.x):
                sd = None if curve.spread is None else float(curve.spread[i])
                number = {"metric": metric, "value": float(curve.y[i]), "sd": sd}
                yield {**columns_of(part, label, int(bits)), "direction": direction, **number}
