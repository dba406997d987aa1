"""What codes are like: balance and correlation of bits, buckets, entropy, duplicates, flips of old codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.api import MODALITIES
from bench.errors import ParameterError
from bench.evidence import Arrays, Evidence, Health
from bench.figures import Figure, Plot
from bench.records import RunRecord
from bench.reports._panels import Curve, by_label, draw_curve, parts
from bench.reports._protocol import word
from bench.reports._style import WIDTH, Look, figure, legend, log_ticks, looks

_CAPTION = (
    "database codes after the last round, mean over seeds; bands: standard deviation over seeds",
    "bit balance: share of ones, bits sorted; correlation: |Pearson's r| of pairs of bits, sorted",
    "buckets: items per distinct code, largest first, of the first seed",
    "entropy of the codes in bits, at most log2 of the items (dotted); duplicates: share of items whose code "
    + "another has too; flips: share of old bits that the round rewrote, both modalities",
)


def render(
    records: Sequence[RunRecord],
    *,
    bits: int | None = None,
    arrays: Arrays | None = None,
    stale: Mapping[str, str] | None = None,
    cast: Sequence[str] = (),
) -> Figure:
    """One plot per protocol, dataset and modality, at ``bits``: if None, 32 or what is next to it."""
    evidence = Evidence.of(arrays, "health")
    hashing = [r for r in records if not word(r) and r.reference != "real-valued"]
    if not hashing:
        raise ParameterError(f"report 'health': none of {len(records)} cells left codes.")
    styles = looks(records, cast)
    lengths = {r.spec.bits for r in hashing}
    length = min(lengths, key=lambda b: (abs(np.log2(b / 32)), b)) if bits is None else bits
    found = parts([r for r in hashing if r.spec.bits == length])
    plots, data = [], []
    for part in found:
        for modality in MODALITIES:
            ran = by_label(part.protocol.records)
            codes = {name: [evidence.health(r, modality) for r in mine] for name, mine in ran.items()}
            name = f"{part.name}-{modality}" if len(found) > 1 else modality
            plots.append(
                Plot(
                    name=name,
                    caption=(f"{length}-bit codes of the {modality} modality", *_CAPTION, *part.caption),
                    notes=part.protocol.notes(stale or {}),
                    draw=lambda ran=ran, codes=codes: _draw(ran, codes, styles),  # type: ignore[misc]
                )
            )
            data += [
                {**part.protocol.columns(ran[label][0]), "modality": modality, **_summary(of, ran[label])}
                for label, of in codes.items()
            ]
    return figure("Code health", plots, data)


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
    pairs = zip(record.rounds, record.rounds[1:], strict=False)
    return {
        now.items: now.bits_rewritten / (2 * record.spec.bits * before.items)
        for before, now in pairs
        if now.bits_rewritten is not None
    }


def _draw(
    ran: Mapping[str, Sequence[RunRecord]],
    codes: Mapping[str, Sequence[Health]],
    styles: Mapping[str, Look],
) -> Any:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(WIDTH, 4.0), layout="constrained")
    axes = canvas.subplots(2, 3, squeeze=False)
    balance, correlation, buckets, entropy, duplicates, flips = axes.flat
    occupied: list[tuple[int, int]] = []  # distinct codes, items of the largest
    for label, of in codes.items():
        sorted_ones = [np.sort(c.balance) for c in of]
        pairs = [np.sort(_pairs(c)) for c in of]
        for axis, values in ((balance, sorted_ones), (correlation, pairs)):
            x = [np.linspace(0, 1, len(v)) for v in values]
            draw_curve(axis, label, Curve.mean(x, values), styles, markers=False)
        sizes = of[0].buckets
        buckets.loglog(np.arange(1, len(sizes) + 1), sizes, **styles[label].line)
        occupied.append((len(sizes), int(sizes[0])))
        curve = _flip_curve(ran[label])
        if curve is not None:
            draw_curve(flips, label, curve, styles, markers=True)
    balance.set(title="bit balance", xlabel="bits, sorted", ylabel="share of ones", ylim=(0, 1))
    correlation.set(title="bit correlation", xlabel="pairs of bits, sorted", ylabel="|r|", ylim=(0, 1))
    buckets.set(title="bucket occupancy", xlabel="distinct codes", ylabel="items")
    log_ticks(buckets.xaxis, [1, max(n for n, _ in occupied)])
    log_ticks(buckets.yaxis, [1, max(n for _, n in occupied)])
    _bars(entropy, {k: float(np.mean([c.entropy for c in v])) for k, v in codes.items()}, styles)
    items = next(iter(ran.values()))[0].rounds[-1].items
    entropy.axvline(np.log2(items), color="black", linestyle=(0, (1, 1.5)), linewidth=1)
    entropy.set(title="entropy of codes", xlabel="bits")
    _bars(duplicates, {k: float(np.mean([c.duplicates for c in v])) for k, v in codes.items()}, styles)
    duplicates.set(title="duplicate codes", xlabel="share of items", xlim=(0, 1))
    flips.set(title="flips of old codes", xlabel="items in the database", ylabel="share of bits")
    if not flips.lines:
        flips.set_axis_off()
        once = all(len(r.rounds) < 2 for mine in ran.values() for r in mine)
        words = "one round was evaluated:\nnot counted" if once else "no round rewrote any"
        flips.text(0.5, 0.5, words, ha="center", va="center", transform=flips.transAxes)
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
