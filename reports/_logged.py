"""Curves that methods log while they train, such as a loss: a panel per code length."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.reporting import (
    Curve,
    Figure,
    Look,
    ParameterError,
    Plot,
    Protocol,
    Results,
    RunRecord,
    by_label,
    columns_of,
    draw_curve,
    grid,
    label_edges,
    legend,
    parts,
)

Panels = Mapping[int, Mapping[str, Curve]]  # bits → method → its curve


def render(results: Results, name: str) -> Figure:
    """One plot per protocol and dataset; rounds follow each other, and x counts the logged points."""
    known = sorted({logged for record in results for logged in record.curves})
    if name not in known:
        listed = f"known: {', '.join(known)}" if known else "methods log with self.log(step, loss=…)"
        raise ParameterError(f"logged={name}: none of {len(results)} cells has this curve; {listed}.")
    plots = []
    for title, part in parts(results).items():
        panels = _panels(part, name)
        if panels:
            caption = (
                f"{name}, as the methods logged it, point by point in order of training",
                "mean over seeds; band: standard deviation over seeds",
                *part.caption(),
            )
            draw = partial(_draw, panels, name, results.looks)
            plot = Plot(name=title, caption=caption, notes=part.notes(), draw=draw)
            plots.append((plot, list(_data(part, panels, name))))
    return Figure.of(f"{name} during training", plots)


def _panels(part: Protocol, name: str) -> Panels:
    ran = [record for record in part.records if name in record.curves]
    return {
        bits: {label: _curve(mine, name) for label, mine in by_label(_of(ran, bits)).items()}
        for bits in sorted({record.spec.bits for record in ran})
    }


def _of(records: Sequence[RunRecord], bits: int) -> list[RunRecord]:
    return [record for record in records if record.spec.bits == bits]


def _curve(records: Sequence[RunRecord], name: str) -> Curve:
    """Over the points that all seeds have."""
    values = [record.curves[name].values for record in records]
    shared = min(map(len, values))
    rows = [np.array(one[:shared], float) for one in values]
    at = list(zip(records[0].curves[name].rounds, records[0].curves[name].steps, strict=True))[:shared]
    return Curve.mean([np.arange(shared)] * len(rows), rows, at)


def _draw(panels: Panels, name: str, looks: Mapping[str, Look]) -> Any:
    canvas, places = grid(1, len(panels), sharey=True)
    for axis, (bits, curves) in zip(places[0], panels.items(), strict=True):
        axis.set_title(f"{bits} bits")
        for label, curve in curves.items():
            draw_curve(axis, label, curve, looks)
    label_edges(places, "logged point", name)
    legend(canvas, places)
    return canvas


def _data(part: Protocol, panels: Panels, name: str) -> Iterator[dict[str, Any]]:
    for bits, curves in panels.items():
        for label, curve in curves.items():
            protocol = columns_of(part, label, bits)
            for i, (x, y) in enumerate(zip(curve.x, curve.y, strict=True)):
                spread = None if curve.spread is None else float(curve.spread[i])
                round_, step = curve.at[i]
                point = {"round": round_, "step": step, "point": int(x), name: float(y), "sd": spread}
                yield {**protocol, **point}
