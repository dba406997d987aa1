"""Per-query scores of a protocol, lined up so that methods can be compared query by query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.records import DIRECTIONS, Direction
from bench.reporting.evidence import Evidence
from bench.reporting.significance import Comparison, bootstrap, compare_all, holm
from bench.reports._protocol import Protocol

BySeed = Mapping[int, npt.NDArray[np.float32]]  # seed → the AP of every query


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table compares: rivals by their name, each with its scores by seed."""

    dataset: str
    direction: Direction
    bits: int
    scores: Mapping[str, BySeed]
    key: tuple[str, ...] = ()  # of the records; () where nobody else compares the same

    def means(self) -> dict[str, float]:
        """Mean over queries, then over seeds, as the tables have it."""
        found = {name: [_mean(s) for s in by_seed.values()] for name, by_seed in self.scores.items()}
        return {name: float(np.mean(values)) for name, values in found.items()}

    def best(self) -> str:
        """The method with the highest mean; of equals the first. A mean without a query is none."""
        means = {name: -np.inf if np.isnan(m) else m for name, m in self.means().items()}
        return max(means, key=means.__getitem__)


def columns(protocol: Protocol, evidence: Evidence) -> Iterator[Column]:
    """By dataset, direction and bits; methods that are no rivals (references) are left out."""
    references = protocol.references()
    for dataset, records in protocol.datasets.items():
        rivals = [r for r in records if not r.word and r.spec.label not in references]
        for direction in DIRECTIONS:
            for bits in sorted({r.spec.bits for r in rivals}):
                here = [r for r in rivals if r.spec.bits == bits and direction in r.spec.directions]
                scores: dict[str, dict[int, Any]] = {}
                for r in here:
                    scores.setdefault(r.spec.label, {})[r.spec.seed] = evidence.search(r, direction).scores
                if scores:
                    yield Column(dataset, direction, bits, scores, tuple(r.spec.key for r in here))


def against_best(column: Column, evidence: Evidence) -> dict[str, Comparison]:
    """Every other method against the best; made once for all reports."""
    key = ("against_best", column.direction, *column.key)
    found: dict[str, Comparison] = evidence.derived(key, lambda: against(column, column.best()))
    return found


def against(column: Column, reference: str) -> dict[str, Comparison]:
    """Every other method against ``reference``, on the seeds that both have; none without such a seed."""
    base = column.scores[reference]
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, by_seed in column.scores.items():
        seeds = tuple(sorted(set(by_seed) & set(base)))
        if name != reference and seeds:
            groups.setdefault(seeds, []).append(name)
    found: dict[str, Comparison] = {}
    for seeds, names in groups.items():
        matrices = {name: _matrix(column.scores[name], seeds) for name in names}
        found |= compare_all(matrices, _matrix(base, seeds))
    return {name: found[name] for name in column.scores if name in found}


def corrected(comparisons: Mapping[str, Comparison]) -> dict[str, float]:
    """Holm-corrected p of both tests together, one family per column; NaN where one seed allows no test."""
    return dict(zip(comparisons, holm([c.p for c in comparisons.values()]), strict=True))


def _matrix(by_seed: BySeed, seeds: Sequence[int]) -> npt.NDArray[np.float32]:
    return np.stack([by_seed[s] for s in seeds])


def _mean(scores: npt.NDArray[np.float32]) -> float:
    kept = scores[~np.isnan(scores)]
    return float(kept.mean(dtype=np.float64)) if len(kept) else float("nan")


def intervals(column: Column) -> dict[str, tuple[float, float]]:
    """A bootstrap interval of the mean of every method; those with the same seeds share the resamples."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, by_seed in column.scores.items():
        groups.setdefault(tuple(sorted(by_seed)), []).append(name)
    found: dict[str, tuple[float, float]] = {}
    for seeds, names in groups.items():
        matrices = [_matrix(column.scores[name], seeds) for name in names]
        kept = ~np.isnan(np.stack(matrices)).any(axis=(0, 1))
        found |= zip(names, bootstrap([m[:, kept] for m in matrices]), strict=True)
    return found
