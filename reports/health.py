"""Code health: balance and correlation of bits, bucket sizes, entropy, duplicates, flips of old codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np

from bench.reporting import (
    MODALITIES,
    PAGE_WIDTH,
    Curve,
    Figure,
    Health,
    Look,
    ParameterError,
    Plot,
    Protocol,
    Results,
    RunRecord,
    by_label,
    draw_curve,
    legend,
    log_ticks,
    parts,
)

_CAPTION = (
    "database codes after the last round, mean over seeds; bands: standard deviation over seeds",
    "bit balance: share of ones, bits sorted; correlation: |Pearson's r| of pairs of bits, sorted",
    "buckets: items per distinct code, largest first, of the first seed",
    "entropy of the codes in bits, at most log2 of the items (dotted); duplicates: share of items whose code "
    + "another item also has; flips: share of old bits that the round rewrote, both modalities",
)


def render(
    results: Results,
    *,
    bits: Annotated[int | None, "code length to show; by default 32 or the nearest one"] = None,
    modality: Annotated[Literal["both", "image", "text"], "whose codes to show"] = "both",
) -> Figure:
    """One plot per protocol, dataset and modality."""
    hashing = results.select(lambda r: not r.word and r.compares_codes)
    if not hashing.records:
        raise ParameterError(f"none of {len(results)} cells has codes.")
    lengths = {r.spec.bits for r in hashing}
    length = min(lengths, key=lambda b: (abs(np.log2(b / 32)), b)) if bits is None else bits
    found = parts(hashing.select(lambda r: r.spec.bits == length))
    plots = [
        _plot(m if len(found) == 1 else f"{name}-{m}", part, length, m)
        for name, part in found.items()
        for m in MODALITIES
        if modality in ("both", m)
    ]
    return Figure.of("Code health", plots)


def _plot(name: str, part: Protocol, bits: int, modality: str) -> tuple[Plot, Iterator[dict[str, Any]]]:
    results, ran = part.results, by_label(part.records)
    codes = {label: [results.evidence.health(r, modality) for r in mine] for label, mine in ran.items()}
    drawn = {label: _Drawn.of(mine, codes[label]) for label, mine in ran.items()}
    items = part.records[0].rounds[-1].items
    once = all(len(r.rounds) < 2 for r in part.records)
    plot = Plot(
        name=name,
        caption=(f"{bits}-bit codes of the {modality} modality", *_CAPTION, *part.caption()),
        notes=part.notes(),
        draw=partial(_draw, drawn, results.looks, items=items, once=once),
    )
    numbers = (
        {**part.columns(ran[label][0]), "modality": modality, **_summary(of, ran[label])}
        for label, of in codes.items()
    )
    return plot, numbers


def _summary(codes: Sequence[Health], ran: Sequence[RunRecord]) -> dict[str, float | None]:
    flips = [f for record in ran for f in _flips(record).values()]
    return {
        "imbalance": float(np.mean([np.abs(c.balance - 0.5).mean() for c in codes])),
        "correlation": float(np.mean([_pairs(c).mean() for c in codes])),
        "entropy": float(np.mean([c.entropy for c in codes])),
        "duplicates": float(np.mean([c.duplicates for c in codes])),
        "distinct": float(np.mean([len(c.buckets) for c in codes])),
        "largest_bucket": float(np.mean([c.buckets[0] for c in codes])),
        "flips": float(np.mean(flips)) if flips else None,
    }


def _pairs(codes: Health) -> Any:
    """|r| of every pair of bits; one bit has no pair."""
    bits = len(codes.balance)
    found = np.abs(codes.correlation[np.triu_indices(bits, 1)])
    return found if len(found) else np.zeros(1)


def _flips(record: RunRecord) -> dict[int, float]:
    """Items in the database → share of the bits stored before that the round rewrote."""
    rounds = record.over("all").rounds
    return {
        now.items: now.bits_rewritten / (2 * record.spec.bits * before.items)
        for before, now in pairwise(rounds)
        if now.bits_rewritten is not None
    }


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The lines and numbers of one method, a thousandth of the size of its codes."""

    balance: Curve
    correlation: Curve
    buckets: Curve  # corners of the line only
    entropy: float
    duplicates: float
    flips: Curve | None

    @classmethod
    def of(cls, ran: Sequence[RunRecord], codes: Sequence[Health]) -> Self:
        return cls(
            balance=_sorted([c.balance for c in codes]),
            correlation=_sorted([_pairs(c) for c in codes]),
            buckets=_corners(codes[0].buckets),
            entropy=float(np.mean([c.entropy for c in codes])),
            duplicates=float(np.mean([c.duplicates for c in codes])),
            flips=_flip_curve(ran),
        )


def _sorted(values: Sequence[Any]) -> Curve:
    return Curve.mean([np.linspace(0, 1, len(v)) for v in values], [np.sort(v) for v in values])


def _corners(sizes: Any) -> Curve:
    """Descending sizes against their ranks, from 1, without those that equal both neighbours."""
    steps = np.flatnonzero(np.diff(sizes))
    kept = np.unique([0, *steps, *(steps + 1), len(sizes) - 1])
    return Curve(kept + 1.0, sizes[kept].astype(float))


def _draw(drawn: Mapping[str, _Drawn], styles: Mapping[str, Look], *, items: int, once: bool) -> Any:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(PAGE_WIDTH, 4.0), layout="constrained")
    axes = canvas.subplots(2, 3, squeeze=False)
    balance, correlation, buckets, entropy, duplicates, flips = axes.flat
    for label, of in drawn.items():
        draw_curve(balance, label, of.balance, styles)
        draw_curve(correlation, label, of.correlation, styles)
        buckets.loglog(of.buckets.x, of.buckets.y, **styles[label].line)
        if of.flips is not None:
            draw_curve(flips, label, of.flips, styles)
    balance.set(title="bit balance", xlabel="bits, sorted", ylabel="share of ones")
    correlation.set(title="bit correlation", xlabel="pairs of bits, sorted", ylabel="|r|")
    buckets.set(title="bucket occupancy", xlabel="distinct codes", ylabel="items")
    log_ticks(buckets.xaxis, [1, max(of.buckets.x[-1] for of in drawn.values())])
    log_ticks(buckets.yaxis, [1, max(of.buckets.y[0] for of in drawn.values())])
    _bars(entropy, {label: of.entropy for label, of in drawn.items()}, styles)
    entropy.axvline(np.log2(items), color="black", linestyle=(0, (1, 1.5)), linewidth=1)
    entropy.set(title="entropy of codes", xlabel="bits")
    _bars(duplicates, {label: of.duplicates for label, of in drawn.items()}, styles)
    duplicates.set(title="duplicate codes", xlabel="share of items")
    flips.set(title="flips of old codes", xlabel="items in the database", ylabel="share of bits")
    if not flips.lines:
        flips.set_axis_off()
        text = "one round was evaluated:\nnot counted" if once else "no round rewrote any"
        flips.text(0.5, 0.5, text, ha="center", va="center", transform=flips.transAxes)
    legend(canvas, axes)
    return canvas


def _flip_curve(ran: Sequence[RunRecord]) -> Curve | None:
    found = [_flips(r) for r in ran]
    items = sorted(set.intersection(*map(set, found)))
    if not items:
        return None
    x = np.array(items, float)
    return Curve.mean([x] * len(found), [np.array([f[n] for n in items]) for f in found])


def _bars(axis: Any, values: Mapping[str, float], styles: Mapping[str, Look]) -> None:
    axis.barh(range(len(values)), list(values.values()), color=[styles[name].color for name in values])
    axis.set_yticks(range(len(values)), list(values), fontsize=6)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
