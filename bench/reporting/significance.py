"""Paired statistics of per-query scores: intervals, randomisation tests, wins and ranks.

The claim depends on what is resampled. A matrix of scores is (seeds, queries): its queries are a sample
of all possible queries, its seeds a sample of runs. The randomisation test over queries is about other
queries and these runs, the t-test over seeds about other runs and these queries. A difference is
significant only if both tests say so. Below three seeds nothing is claimed: on two, a t-test over seeds
finds only what is 13 times its standard error.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.reporting.crossed import Crossed

Scores = npt.NDArray[np.floating[Any]]  # (seeds, queries); NaN: a query without a relevant item

LEVEL = 0.05
CONFIDENCE = 0.95
LEAST_SEEDS = 3  # below, nothing is called significant
_FLIPS = 4999  # random sign flips: the smallest two-sided p is 2/5000
_RESAMPLES = 999
_SEED = 20_250_225  # of all resampling: equal scores give equal tables


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method against another, on the same seeds and queries; differences are first minus second."""

    difference: float
    low: float  # of the bootstrap interval
    high: float
    p_queries: float  # paired randomisation test over queries of the mean over seeds
    p_seeds: float  # paired t-test over seeds of the mean over queries; NaN with one seed
    wins: float  # shares of all pairs (seed, query)
    ties: float
    losses: float
    crossed: Crossed

    @property
    def queries(self) -> int:
        return self.crossed.queries

    @property
    def p(self) -> float:
        """The larger p of the two tests; NaN below ``LEAST_SEEDS``."""
        tested = self.crossed.seeds >= LEAST_SEEDS
        return float(np.maximum(self.p_queries, self.p_seeds)) if tested else float("nan")


def compare_all(methods: Mapping[str, Scores], reference: Scores) -> dict[str, Comparison]:
    """Compare every method with one reference, on the same (seeds, queries) and shared resamples.

    Queries that any of them lacks are left out. Raises ValueError where the shapes differ.
    """
    shared = [reference, *methods.values()]
    if any(m.shape != reference.shape for m in shared):
        raise ValueError(f"scores of shapes {sorted({m.shape for m in shared})} cannot be paired")
    kept = ~np.isnan(np.stack(shared)).any(axis=(0, 1))
    base = reference[:, kept].astype(np.float64)
    differences = {name: m[:, kept] - base for name, m in methods.items()}
    intervals = bootstrap(list(differences.values()))
    return {
        name: _comparison(difference, interval)
        for (name, difference), interval in zip(differences.items(), intervals, strict=True)
    }


def _comparison(difference: Scores, interval: tuple[float, float]) -> Comparison:
    queries, size = difference.shape[1], max(difference.size, 1)
    tied = np.abs(difference) < 1e-6  # scores are kept as float32
    return Comparison(
        difference=float(difference.mean()) if queries else float("nan"),
        low=interval[0],
        high=interval[1],
        p_queries=randomisation_test(difference.mean(axis=0)),
        p_seeds=seed_test(difference.mean(axis=1)) if queries else float("nan"),
        wins=float((~tied & (difference > 0)).sum()) / size,
        ties=float(tied.sum()) / size,
        losses=float((~tied & (difference < 0)).sum()) / size,
        crossed=Crossed.of(difference),
    )


def randomisation_test(differences: npt.NDArray[np.float64]) -> float:
    """Two-sided p of the mean of paired differences (Q,), were each as likely to have the other sign."""
    from scipy.stats import monte_carlo_test

    if not np.any(differences):
        return 1.0
    values: npt.NDArray[np.float32] = differences.astype(np.float32)

    def mean(signs: npt.NDArray[np.float32], axis: int) -> npt.NDArray[Any]:
        return np.asarray(signs @ values / len(values))

    test = monte_carlo_test(
        np.ones(len(values), np.float32),
        lambda size: _signs(*size),
        mean,
        vectorized=True,
        n_resamples=_FLIPS,
    )
    return float(test.pvalue)


@lru_cache(maxsize=4)
def _signs(resamples: int, queries: int) -> npt.NDArray[np.float32]:
    """Random signs, the same for all comparisons over as many queries."""
    rng = np.random.default_rng(_SEED)
    bits = rng.integers(0, 2, size=(resamples, queries), dtype=np.int8)
    return 2 * bits.astype(np.float32) - 1


def seed_test(differences: npt.NDArray[np.float64]) -> float:
    """Two-sided p of the paired t-test over seeds; NaN for one seed, 1 where all are equal to 0."""
    from scipy.stats import ttest_1samp

    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) <= 1e-9:  # methods without randomness: other seeds give the same
        return 1.0 if abs(differences[0]) <= 1e-9 else 0.0
    return float(ttest_1samp(differences, 0.0).pvalue)


def bootstrap(matrices: Sequence[Scores]) -> list[tuple[float, float]]:
    """Percentile intervals of the means of (seeds, queries) matrices, seeds and queries both resampled.

    All matrices share the resamples. With few seeds the interval is too narrow for other seeds; with one
    it covers queries only.
    """
    from scipy.stats import bootstrap as scipy_bootstrap

    if not matrices:
        return []
    stacked = np.stack(matrices).astype(np.float64)
    number, seeds, queries = stacked.shape
    if queries < 2:
        return [(float("nan"), float("nan"))] * number
    by_cell = stacked.reshape(number * seeds, queries).T

    def means(query: npt.NDArray[Any], seed: npt.NDArray[Any], axis: int) -> npt.NDArray[np.float64]:
        sums = (_counts(query, queries) @ by_cell).reshape(*query.shape[:-1], number, seeds)
        weighted = (sums * _counts(seed, seeds)[..., None, :]).sum(axis=-1)
        return np.asarray(np.moveaxis(weighted, -1, 0) / (seeds * queries))

    interval = scipy_bootstrap(
        # a sample of one seed cannot be resampled; twice the same one is that seed
        (np.arange(queries), np.arange(seeds) if seeds > 1 else np.zeros(2, np.intp)),
        means if seeds > 1 else lambda query, seed, axis: means(query, seed[..., :1], axis),
        n_resamples=_RESAMPLES,
        batch=250,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return [
        (float(a), float(b)) for a, b in zip(np.ravel(interval.low), np.ravel(interval.high), strict=True)
    ]


def _counts(indices: npt.NDArray[Any], size: int) -> npt.NDArray[np.float64]:
    """How often each of ``size`` things was drawn: (..., draws) to (..., size)."""
    rows = indices.reshape(-1, indices.shape[-1])
    shifted = rows + np.arange(len(rows))[:, None] * size
    counts = np.bincount(shifted.ravel(), minlength=len(rows) * size).astype(np.float64)
    return counts.reshape(*indices.shape[:-1], size)


def holm(p: Sequence[float]) -> list[float]:
    """Holm-corrected p values of a family of tests; NaN, a test that could not be made, stays out."""
    from statsmodels.stats.multitest import multipletests

    values = np.array(p, dtype=np.float64)
    made = np.isfinite(values)
    if made.any():
        gc.freeze()  # statsmodels collects garbage at every call, 50 ms in a report; frozen, there is none
        try:
            values[made] = multipletests(values[made], method="holm")[1]
        finally:
            gc.unfreeze()
    return [float(v) for v in values]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Mean ranks of methods over blocks, 1 the best, with Friedman's p and Nemenyi's pairwise p."""

    names: tuple[str, ...]
    ranks: npt.NDArray[np.float64]  # (methods,)
    friedman: float
    nemenyi: npt.NDArray[np.float64]  # (methods, methods)


def ranks(names: Sequence[str], scores: npt.NDArray[np.float64]) -> Ranks:
    """Rank methods over blocks; ``scores`` is (blocks, methods), higher is better.

    Raises ValueError for fewer than three methods or two blocks, on which Friedman's test is undefined.
    """
    from scikit_posthocs import posthoc_nemenyi_friedman
    from scipy.stats import friedmanchisquare, rankdata

    blocks, methods = scores.shape
    if methods < 3 or blocks < 2:
        raise ValueError(f"{methods} methods on {blocks} blocks; expected at least 3 on 2")
    mean = rankdata(-scores, axis=1).mean(axis=0)
    if np.ptp(scores, axis=1).max() == 0:  # all the same everywhere: the statistic is 0/0
        return Ranks(tuple(names), mean, 1.0, np.ones((methods, methods)))
    return Ranks(
        names=tuple(names),
        ranks=mean,
        friedman=float(friedmanchisquare(*scores.T).pvalue),
        nemenyi=np.asarray(posthoc_nemenyi_friedman(scores), dtype=np.float64),
    )
