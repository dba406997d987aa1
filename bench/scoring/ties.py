"""Closed forms for groups of tied items: expected, best and worst sums of precisions.

A query's ranking is a sequence of groups, one per Hamming distance, and the items of a group have
no order. The trap is cancellation: a few items far down the ranking add differences of harmonic
numbers that a table of those numbers would lose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.contract.metric import Values
from bench.scoring.hamming import Histograms


@dataclass(frozen=True, slots=True)
class Ranking:
    """Groups of tied items, nearest first: float64 (Q, D), with what lies before each group."""

    items: Values  # in the group
    relevant: Values  # of them relevant
    items_before: Values
    relevant_before: Values
    total: Values  # relevant items in the database (Q,)
    size: int  # items in the database
    gains: Values | None  # graded gain in the group (Q, D)
    grades: Values | None  # items per grade (Q, G + 1)

    @classmethod
    def of(cls, hist: Histograms) -> Ranking:
        items, relevant = (hist.counts[:, :, i].astype(np.float64) for i in (0, 1))
        items_to, relevant_to = items.cumsum(axis=1), relevant.cumsum(axis=1)
        return cls(
            items,
            relevant,
            items_to - items,
            relevant_to - relevant,
            relevant_to[:, -1],
            hist.items,
            None if hist.gains is None else hist.gains.astype(np.float64),
            None if hist.grades is None else hist.grades.astype(np.float64),
        )

    def until(self, cut: int | None) -> Ranking:
        """Only the groups that reach into the first ``cut`` items of some query."""
        if cut is None:
            return self
        groups = int(np.count_nonzero(self.items_before.min(axis=0, initial=np.inf) < cut))
        return replace(
            self,
            items=self.items[:, :groups],
            relevant=self.relevant[:, :groups],
            items_before=self.items_before[:, :groups],
            relevant_before=self.relevant_before[:, :groups],
            gains=None if self.gains is None else self.gains[:, :groups],
        )

    def group_at(self, cut: int) -> tuple[Values, Values, Values, Values]:
        """Of the group that holds rank ``cut``: items, relevant, items before, relevant before; each (Q,)."""
        last = np.count_nonzero(self.items_before < cut, axis=1) - 1
        rows = np.arange(len(last))
        fields = self.items, self.relevant, self.items_before, self.relevant_before
        items, relevant, items_before, relevant_before = (field[rows, last] for field in fields)
        return items, relevant, items_before, relevant_before

    def hits(self, cut: int) -> Values:
        """Expected relevant items among the first ``cut`` (Q,)."""
        items, relevant, items_before, relevant_before = self.group_at(cut)
        return relevant_before + relevant * (cut - items_before) / items

    def hits_within(self, radius: int) -> Values:
        """Relevant items at distance ``radius`` or less (Q,)."""
        return row_sums(self.relevant[:, : radius + 1])

    def merged(self) -> Ranking:
        """One group that holds the whole database: what equal codes give."""
        items, nothing = np.full((len(self.total), 1), float(self.size)), np.zeros((len(self.total), 1))
        return replace(
            self, items=items, relevant=self.total[:, None], items_before=nothing, relevant_before=nothing
        )


def average(precisions: Callable[[Ranking, float], Values], g: Ranking, cut: int | None) -> Values:
    """A sum of precisions over the hits that the first ``cut`` items could hold: average precision."""
    limit = np.inf if cut is None else cut
    return precisions(g.until(cut), limit) / np.maximum(np.minimum(g.total, limit), 1)


def expected_precisions(g: Ranking, cut: float) -> Values:
    """Expected sum of the precision at the hits among the first ``cut`` items (McSherry & Najork 2008).

    A group of n items, r of them relevant, follows N items with R hits. A rank in it holds a hit
    with probability r/n, and given that, the t - 1 ranks of the group before it hold m (t - 1)
    hits with m = (r - 1)/(n - 1). Summed over the group's first t ranks:
    r/n (m t + (R + 1 - m - m N) (H(N + t) - H(N))).
    """
    taken = reached(g.items, g.items_before, cut)
    m = (g.relevant - 1) / np.maximum(g.items - 1, 1)
    weight = g.relevant_before + 1 - m * (g.items_before + 1)
    total = m * taken + weight * harmonic(g.items_before, taken)
    total *= g.relevant / np.maximum(g.items, 1)
    return row_sums(total)


def best_precisions(g: Ranking, cut: float) -> Values:
    """The same sum when the relevant items of a group come first."""
    return _run_of_hits(g, g.items_before, cut)


def worst_precisions(g: Ranking, cut: float) -> Values:
    """The same sum when the relevant items of a group come last."""
    return _run_of_hits(g, g.items_before + g.items - g.relevant, cut)


def _run_of_hits(g: Ranking, before: Values, cut: float) -> Values:
    """Sum of (R + i)/(N + i) over the hits i = 1.. of each group that follow ``before`` = N items."""
    taken = reached(g.relevant, before, cut)
    return row_sums(taken + (g.relevant_before - before) * harmonic(before, taken))


def reached(size: Values, before: Values, cut: float) -> Values:
    """How many of ``size`` items that follow ``before`` others are among the first ``cut``."""
    return size if np.isinf(cut) else np.clip(cut - before, 0, size)


def row_sums(values: Values) -> Values:
    total: Values = values.sum(axis=1)
    return total


_EXACT = 256  # from here on the asymptotic series of H is exact to float64
_HARMONIC = np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, _EXACT + 1))])


def harmonic(start: Values, terms: Values) -> Values:
    """H(start + terms) - H(start) for whole numbers, to a relative 1e-15.

    Subtracting two values of a table would lose what little a few terms far out add.
    """
    low, high = np.maximum(start, _EXACT), np.maximum(start + terms, _EXACT)
    a, b = 1 / low, 1 / high
    gap = np.log1p((high - low) * a)
    # H(n) = ln n + γ + 1/2n - 1/12n² + 1/120n⁴ - ...; the next term is below 1e-17
    gap += (b - a) * (0.5 - (b + a) * (1 / 12 - (a * a + b * b) / 120))
    if start.size and start.min() < _EXACT:
        near = np.minimum(start, _EXACT).astype(np.intp)
        gap += _HARMONIC[np.minimum(start + terms, _EXACT).astype(np.intp)] - _HARMONIC[near]
    return gap


_TERMS = 1 << 18  # hypergeometric terms held at once


def precisions_per_hit(g: Ranking, cut: int) -> Values:
    """Expectation of the sum of precisions at the hits among the first ``cut`` items, over their number.

    Only the group that the cut divides decides how many hits there are: k of its first t ranks,
    with the hypergeometric probability of k relevant in t draws from its n items, r relevant.
    """
    n, r, before, found = g.group_at(cut)
    draws = cut - before
    earlier = g.items_before + g.items < cut
    certain = expected_precisions(replace(g, relevant=np.where(earlier, g.relevant, 0)).until(cut), cut)
    values = np.empty(len(n))
    step = max(1, int(_TERMS // (1 + np.minimum(draws, r).max(initial=0))))
    for start in range(0, len(n), step):
        s = slice(start, start + step)
        values[s] = _over_draws(*(a[s, None] for a in (n, r, draws, before, found, certain)))
    return values


def _over_draws(
    n: Values, r: Values, draws: Values, before: Values, found: Values, certain: Values
) -> Values:
    """Expectation over the hits k among the first ``draws`` ranks of the group; columns (Q, 1)."""
    k = np.arange(np.minimum(draws, r).max() + 1)
    m = (k - 1) / np.maximum(draws - 1, 1)
    given = k / draws * (m * draws + (found + 1 - m * (before + 1)) * harmonic(before, draws))
    return row_sums(_hypergeometric(k, n, r, draws) * (certain + given) / np.maximum(found + k, 1))


def _hypergeometric(k: Values, n: Values, r: Values, draws: Values) -> Values:
    """P(k relevant in ``draws`` from n items, r relevant), rows of queries × columns of k = 0, 1, ..."""
    possible = (k <= np.minimum(draws, r)) & (k >= draws - (n - r))
    follows = possible & (k > 0) & (k > draws - (n - r))  # k - 1 is possible too
    ratio = np.where(follows, (r - k + 1) * (draws - k + 1), 1)  # P(k) / P(k - 1)
    ratio /= np.where(follows, k * (n - r - draws + k), 1)
    log = np.where(possible, np.cumsum(np.log(ratio), axis=1), -np.inf)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    normal: Values = weight / weight.sum(axis=1, keepdims=True)
    return normal


def no_hit(g: Ranking, cut: int) -> Values:
    """Probability that none of the first ``cut`` items is relevant.

    Only the group that the cut divides is left to chance: t of its n items, r of them relevant, are drawn,
    and miss all of these with probability C(n - r, t) / C(n, t) = Π_{i<r} (n - t - i) / (n - i), in which
    t and r may change places.
    """
    n, r, before, found = g.group_at(cut)
    draws = cut - before
    few, many = np.minimum(draws, r), np.maximum(draws, r)
    missed: Values = np.where(found > 0, 0.0, 1.0)
    for i in range(int(few.max(initial=0, where=found == 0))):
        missed *= np.where(i < few, np.maximum(n - many - i, 0) / np.maximum(n - i, 1), 1)
    return missed


def reciprocal_rank(g: Ranking, cut: int) -> Values:
    """Expectation of 1 / rank of the first relevant item, 0 where that is after ``cut``.

    It is in the first group with a relevant item: n items, r relevant, after N others. Its rank is N + x
    with probability S(x - 1) r / (n - x + 1), where S(x) = Π_{i<x} (n - r - i) / (n - i) is the probability
    that the first x items of the group are irrelevant.
    """
    first = (g.relevant > 0).argmax(axis=1)
    rows = np.arange(len(first))
    n, r, before = (field[rows, first] for field in (g.items, g.relevant, g.items_before))
    most = np.maximum(np.minimum(n - r + 1, cut - before), 0)  # ranks in the group that it may have
    values, irrelevant = np.zeros(len(n)), np.ones(len(n))
    step = max(1, _TERMS // max(1, len(n)))
    for start in range(0, int(most.max(initial=0)), step):
        x = np.arange(start, start + step)[None, :]  # items of the group before that rank
        left = np.maximum(n[:, None] - x, 1)
        survives = irrelevant[:, None] * np.cumprod(np.maximum(left - r[:, None], 0) / left, axis=1)
        before_x = np.hstack([irrelevant[:, None], survives[:, :-1]])
        terms = before_x * r[:, None] / left / (before[:, None] + x + 1)
        values += row_sums(np.where(x < most[:, None], terms, 0))
        irrelevant = survives[:, -1]
        if not irrelevant.any():
            break
    return values
