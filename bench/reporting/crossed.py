"""A mean difference over seeds and queries, both samples: its interval, and the least that tests can find.

A matrix of differences (seeds, queries) is δ + seed + query + rest, all but δ random, and the claim is about
other seeds and other queries. With the mean squares of the two-way analysis of variance,

    var(mean) = (MS_seed + max(MS_query - MS_rest, 0)) / (seeds · queries),

on Satterthwaite's degrees of freedom: a quasi-F (Clark 1973, J. Verbal Learning and Verbal Behavior 12), as
for readers × cases in radiology (Hillis, Berbaum and Metz 2008, Academic Radiology 15), of two treatments.
The trap: a test over queries alone takes the luck of a seed for an effect, however many queries there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

POWER = 0.8
_QUANTILES = 400  # of a variance that few seeds estimate; power is a mean over them


@dataclass(frozen=True, slots=True)
class Crossed:
    """The mean of a matrix of differences, and its mean squares over seeds · queries.

    All but the mean are NaN with a single seed or query.
    """

    mean: float
    seeds: int
    queries: int
    by_seed: float
    by_query: float
    rest: float

    @classmethod
    def of(cls, differences: npt.NDArray[np.floating[Any]]) -> Crossed:
        """``differences`` is (seeds, queries) without NaN."""
        seeds, queries = differences.shape
        if min(seeds, queries) < 2:
            mean = float(differences.mean()) if differences.size else np.nan
            return cls(mean, seeds, queries, np.nan, np.nan, np.nan)
        of_seed, of_query = (differences.mean(axis=axis, dtype=np.float64) for axis in (1, 0))
        mean = float(of_seed.mean())
        rest = differences - of_seed[:, None] - (of_query - mean)
        return cls(
            mean=mean,
            seeds=seeds,
            queries=queries,
            by_seed=float(of_seed.var(ddof=1) / seeds),
            by_query=float(of_query.var(ddof=1) / queries),
            rest=float(np.square(rest).mean() / ((seeds - 1) * (queries - 1))),
        )

    @property
    def _excess(self) -> float:
        """What queries differ by beyond the rest."""
        return max(self.by_query - self.rest, 0.0)

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(np.sqrt(self.by_seed + self._excess))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Confidence interval of the mean over other seeds and queries; NaN with a single seed or query."""
        from scipy.special import stdtrit

        margin = self.error
        if margin > 0:
            parts = self.by_seed**2 / (self.seeds - 1) + self._excess**2 / (self.queries - 1)
            freedom = (self.by_seed + self._excess) ** 2 / parts
            margin *= float(stdtrit(freedom, (1 + confidence) / 2))
        return self.mean - margin, self.mean + margin

    def detectable(self, level: float, power: float = POWER) -> float:
        """The minimum detectable difference: the true one that is found significant with this power.

        That takes a t-test over seeds and one over queries, both at ``level``, as in
        :class:`bench.reporting.significance.Comparison`. True variances are taken to be the observed ones
        (Bloom 1995, Evaluation Review 19, without his normal approximation). NaN with a single seed or query.
        """
        from scipy.optimize import brentq
        from scipy.special import ndtr, stdtrit

        if not self.error > 0:
            return self.error
        tail = 1 - level / 2
        over_seeds = stdtrit(self.seeds - 1, tail) * np.sqrt(self.by_seed * _chances(self.seeds - 1))
        over_queries = stdtrit(self.queries - 1, tail) * np.sqrt(self.by_query)
        bar = np.maximum(over_seeds, over_queries)  # of means that both tests reject

        def lacking(true: float) -> float:
            return float(ndtr((true - bar) / self.error).mean()) - power

        return float(brentq(lacking, 0.0, bar.max() + 8 * self.error))


@lru_cache(maxsize=16)
def _chances(freedom: int) -> npt.NDArray[np.float64]:
    """Equally likely ratios of an estimated variance to the true one."""
    from scipy.special import chdtri

    return np.asarray(chdtri(freedom, (np.arange(_QUANTILES) + 0.5) / _QUANTILES) / freedom)
