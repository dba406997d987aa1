"""Per-query scores of a protocol, lined up so that methods can be compared query by query."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.reporting import (
    DIRECTIONS,
    LEAST_SEEDS,
    LEVEL,
    POWER,
    Comparison,
    Direction,
    Evidence,
    Protocol,
    bootstrap,
    by_label,
    compare_all,
    grouped,
    holm,
    short,
)

BySeed = Mapping[int, npt.NDArray[np.float32]]  # seed → the AP of every query


@dataclass(frozen=True, slots=True)
class Compared:
    """The rivals in one column of a table, each with its scores by seed."""

    dataset: str
    direction: Direction
    bits: int
    scores: Mapping[str, BySeed]
    key: tuple[str, ...] = ()  # of the records; () where nobody else compares the same

    def means(self) -> dict[str, float]:
        """Mean over queries, then over seeds, as the tables have it."""
        by_seed = {name: [mean(s) for s in scores.values()] for name, scores in self.scores.items()}
        return {name: float(np.mean(values)) for name, values in by_seed.items()}

    def best(self) -> str:
        """The method with the highest mean, the first of equals; NaN comes last."""
        means = {name: -np.inf if np.isnan(m) else m for name, m in self.means().items()}
        return max(means, key=means.__getitem__)


def columns(protocol: Protocol) -> Iterator[Compared]:
    """By dataset, direction and bits; references and constant codes are left out."""
    evidence = protocol.results.evidence
    evidence.prepare(protocol.rivals)
    for dataset, rivals in protocol.part(protocol.rivals).datasets.items():
        for direction in DIRECTIONS:
            for bits in sorted({r.spec.bits for r in rivals}):
                here = [r for r in rivals if r.spec.bits == bits and direction in r.spec.directions]
                scores = {
                    label: {r.spec.seed: evidence.search(r, direction).scores for r in mine}
                    for label, mine in by_label(here).items()
                }
                if scores:
                    yield Compared(dataset, direction, bits, scores, tuple(r.spec.key for r in here))


def against_best(column: Compared, evidence: Evidence) -> dict[str, Comparison]:
    """Every other method against the best; computed once for all reports."""
    key = ("against_best", column.direction, *column.key)
    comparisons: dict[str, Comparison] = evidence.derived(key, lambda: against(column, column.best()))
    return comparisons


def against(column: Compared, reference: str) -> dict[str, Comparison]:
    """Every other method against ``reference``, on the seeds that both have; none without such a seed."""
    base = column.scores[reference]
    rivals = [name for name in column.scores if name != reference]
    groups = grouped(rivals, lambda name: tuple(sorted(column.scores[name].keys() & base.keys())))
    comparisons: dict[str, Comparison] = {}
    for seeds, names in groups.items():
        if seeds:
            matrices = {name: _matrix(column.scores[name], seeds) for name in names}
            comparisons |= compare_all(matrices, _matrix(base, seeds))
    return {name: comparisons[name] for name in column.scores if name in comparisons}


def corrected(comparisons: Mapping[str, Comparison]) -> dict[str, float]:
    """Holm-corrected p of both tests together, one family per column; NaN where seeds are too few."""
    return dict(zip(comparisons, holm([c.p for c in comparisons.values()]), strict=True))


def detectable(comparisons: Mapping[str, Comparison], p: Mapping[str, float]) -> dict[str, float]:
    """The minimum detectable difference of every test of a column, of which ``p`` are the corrected p.

    It holds at the level of Holm's next step: LEVEL over the number of tests that found nothing.
    """
    tested = {name: value for name, value in p.items() if math.isfinite(value)}
    open_tests = sum(value >= LEVEL for value in tested.values())
    return {name: comparisons[name].crossed.detectable(LEVEL / max(open_tests, 1)) for name in tested}


def power_line(differences: Iterable[float]) -> str:
    """The line of a caption on what the tests below it could have found."""
    least = np.array([*differences])
    if not len(least):
        return f"nothing is tested or marked: that takes two methods that share {LEAST_SEEDS} seeds"
    low, high = short(least.min()), short(least.max())
    spread = "" if low == high else f" ({low} to {high} by entry)"
    typical = math.sqrt(np.square(least).mean())  # their squares, like variances, are estimated without bias
    return f"a true difference of {short(typical)} would be found with {POWER:.0%} power{spread}"


def intervals(column: Compared) -> dict[str, tuple[float, float]]:
    """A bootstrap interval of the mean of every method; those with the same seeds share the resamples."""
    groups = grouped(column.scores, lambda name: tuple(sorted(column.scores[name])))
    bounds: dict[str, tuple[float, float]] = {}
    for seeds, names in groups.items():
        matrices = [_matrix(column.scores[name], seeds) for name in names]
        kept = ~np.isnan(np.stack(matrices)).any(axis=(0, 1))
        bounds |= zip(names, bootstrap([m[:, kept] for m in matrices]), strict=True)
    return bounds


def _matrix(by_seed: BySeed, seeds: Sequence[int]) -> npt.NDArray[np.float32]:
    return np.stack([by_seed[s] for s in seeds])


def mean(values: npt.NDArray[np.floating[Any]]) -> float:
    """The mean without NaN; NaN where nothing is left."""
    kept = values[~np.isnan(values)]
    return float(kept.mean(dtype=np.float64)) if len(kept) else float("nan")
