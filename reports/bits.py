"""mAP, or another metric, against the code length: a panel per dataset and direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.errors import ParameterError
from bench.records import DIRECTIONS, RunRecord
from bench.reporting.figures import Figure, Plot
from bench.reports._metric import chance_name, check_metric, definition, metric_title
from bench.reports._panels import BASELINE, Curve, by_label, columns_of, draw_curve, label_edges, part_name
from bench.reports._protocol import DIRECTION_NAMES, Protocol, protocols
from bench.reports._style import Look, figure, grid, legend, looks


def render(
    records: Sequence[RunRecord],
    *,
    metric: str = "map",
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """After the last round, mean over seeds; one plot per protocol that has several code lengths."""
    check_metric(records, metric)
    title = metric_title(metric)
    styles = looks(records, cast)
    found = [p for p in protocols(records) if len({r.spec.bits for r in p.records if not r.word}) > 1]
    if not found:
        raise ParameterError(
            f"report 'bits': no protocol among {len(records)} cells has two code lengths. Run --bits 16,32."
        )
    caption = (
        f"{definition(metric)}, after the last round",
        "mean over seeds; band: standard deviation over seeds",
    )
    plots, data = [], []
    for number, protocol in enumerate(found):
        panels = {(name, d): _curves(ran, metric, d) for name, ran, d in _places(protocol)}
        plots.append(
            Plot(
                name=part_name(number, "bits") if len(found) > 1 else "",
                caption=(*caption, *protocol.caption(metric=metric)),
                notes=protocol.notes(stale or {}),
                draw=partial(_draw, panels, styles, title),
            )
        )
        data += list(_data(protocol, panels, metric))
    return figure(f"{title} against bits", plots, data)


def _places(protocol: Protocol) -> Iterator[tuple[str, list[RunRecord], str]]:
    for name, ran in protocol.datasets.items():
        for direction in DIRECTIONS:
            if direction in ran[0].spec.directions:
                yield name, [r for r in ran if not r.word], direction


def _curves(ran: Sequence[RunRecord], metric: str, direction: str) -> dict[str, Curve]:
    key, chance = f"{metric}/{direction}", f"{chance_name(metric)}/{direction}"
    found = {}
    for label, mine in by_label([r for r in ran if key in r.rounds[-1].metrics]).items():
        found[label] = _curve(mine, key)
    if any(chance in r.rounds[-1].metrics for r in ran):
        found[BASELINE] = _curve([r for r in ran if chance in r.rounds[-1].metrics], chance)
    return found


def _curve(ran: Sequence[RunRecord], key: str) -> Curve:
    bits = sorted({r.spec.bits for r in ran})
    values = [[r.rounds[-1].metrics[key] for r in ran if r.spec.bits == b] for b in bits]
    spread = [np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values]
    return Curve(np.array(bits, float), np.array([np.mean(v) for v in values]), np.array(spread))


def _draw(
    panels: Mapping[tuple[str, str], Mapping[str, Curve]], styles: Mapping[str, Look], title: str
) -> Any:
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
            draw_curve(axis, label, curve, styles, markers=True)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_locator(FixedLocator(sorted({x for c in curves.values() for x in c.x})))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(ScalarFormatter())
    label_edges(places, "bits", title)
    legend(canvas, places)
    return canvas


def _data(
    protocol: Protocol, panels: Mapping[tuple[str, str], Mapping[str, Curve]], metric: str
) -> Iterator[dict[str, Any]]:
    for (name, direction), curves in panels.items():
        part = Protocol(pool=protocol.pool, records=tuple(protocol.datasets[name]))
        for label, curve in curves.items():
            for i, bits in enumerate(curve.x):
                sd = None if curve.spread is None else float(curve.spread[i])
                number = {"metric": metric, "value": float(curve.y[i]), "sd": sd}
                yield {**columns_of(part, label, int(bits)), "direction": direction, **number}
