"""mAP, or another metric, against the code length: a panel per dataset and direction."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bench.reporting import (
    BASELINE,
    DIRECTION_NAMES,
    DIRECTIONS,
    Axes,
    Curve,
    Direction,
    Figure,
    Metric,
    Panel,
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
    draw_panels,
    metric_title,
    part_name,
    protocols,
)


def render(results: Results, *, metric: Metric = "map") -> Figure:
    """After the last round, mean over seeds; one plot per protocol that has several code lengths."""
    check_metric(results, metric)
    several = [p for p in protocols(results) if len({r.spec.bits for r in p.records if not r.word}) > 1]
    if not several:
        raise ParameterError(
            f"no protocol among {len(results)} cells has two code lengths. Run --bits 16,32."
        )
    title = f"{metric_title(metric)} against bits"
    return Figure.of(title, (_plot(i, p, metric) for i, p in enumerate(several)))


def _plot(number: int, protocol: Protocol, metric: str) -> tuple[Plot, Iterator[dict[str, Any]]]:
    panels, alone = list(_panels(protocol, metric)), len(protocol.datasets) == 1
    axes = Axes(x="bits", y=metric_title(metric), xscale="log2")
    plot = Plot(
        name=part_name(number, "bits"),
        caption=(
            f"{definition(metric)}, after the last round",
            "mean over seeds; band: standard deviation over seeds",
            *protocol.caption(metric=metric),
        ),
        notes=protocol.notes(),
        draw=partial(draw_panels, panels, axes, protocol.results.looks, sharex=True, sharey=alone),
    )
    return plot, _data(protocol, panels, metric)


def _panels(protocol: Protocol, metric: str) -> Iterator[Panel]:
    for column, (name, records) in enumerate(protocol.datasets.items()):
        ran = [r for r in records if not r.word]
        for direction in DIRECTIONS:
            if direction in records[0].spec.directions:
                title = f"{name}, {DIRECTION_NAMES[direction]}"
                yield Panel(direction, column, title, _curves(ran, metric, direction))


def _curves(ran: Sequence[RunRecord], metric: str, direction: Direction) -> dict[str, Curve]:
    key, chance = f"{metric}/{direction}", f"{chance_name(metric)}/{direction}"
    scored = [r for r in ran if key in r.rounds[-1].metrics]
    curves = {label: _curve(mine, key) for label, mine in by_label(scored).items()}
    if level := [r for r in ran if chance in r.rounds[-1].metrics]:
        curves[BASELINE] = _curve(level, chance)
    return curves


def _curve(ran: Sequence[RunRecord], key: str) -> Curve:
    bits = sorted({r.spec.bits for r in ran})
    values = [[r.rounds[-1].metrics[key] for r in ran if r.spec.bits == b] for b in bits]
    return Curve.of(bits, values)


def _data(protocol: Protocol, panels: Sequence[Panel], metric: str) -> Iterator[dict[str, Any]]:
    datasets = list(protocol.datasets.values())
    for panel in panels:
        part = protocol.part(datasets[panel.column])
        for label, curve in panel.curves.items():
            assert curve.spread is not None
            for bits, value, sd in zip(curve.x, curve.y, curve.spread, strict=True):
                number = {"metric": metric, "value": float(value), "sd": float(sd)}
                yield {**columns_of(part, label, int(bits)), "direction": panel.direction, **number}
