"""LCDH's student in closed form: its hash functions, and the steps that lower its objective.

Our reconstruction (docs/lcdh.md): the paper's equations were not available to us.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Features, Modality, Shared, State
from bench.methods._online import Array, Factor, RunningGram, dot
from bench.methods.lcdh.history import Group, Signals, narrow_dot


class Gram(State):
    """Running sum of ΦᵀΦ over all items and their number ``n``; old chunks may fade."""

    sums: RunningGram
    n: float = 0.0

    def take_in(self, phi: Array, keep: float) -> Self:
        """Multiply the weight of everything so far by ``keep``, then add the rows of Φ (n, d).

        Zero rows (items that lack the modality) are not counted.
        """
        if keep < 1 and self.sums.gram is not None:
            self.sums.gram *= keep
        self.sums.add(phi)
        self.n = keep * self.n + float(np.count_nonzero(phi[:, -1]))
        return self

    def leave_out(self, phi: Array) -> Self:
        """Subtract the rows of Φ (n, d), which were added and have not faded."""
        self.sums.remove(phi)
        self.n -= float(np.count_nonzero(phi[:, -1]))
        return self

    def factor(self, eta: float) -> Factor:
        """Factor ``ΣΦᵀΦ + eta·n·I`` (Cholesky)."""
        return self.sums.factor(eta * self.n)


class Change(NamedTuple):
    """Codes (n, k) that a hash function has just learned for some Φ, and ``ΣΦᵀB`` including them."""

    codes: Array
    cross: Array


class HashFunction(State):
    """Ridge regression of ALL codes so far on one modality's Φ (n, d): the student's FC layer.

    ``gram = ΣΦᵀΦ``, ``cross = ΣΦᵀB`` (d, k) and ``weights = (gram + eta·n·I)⁻¹ cross`` (d, k), float64.
    """

    gram: Gram
    cross: Array | float = 0.0
    weights: Array | None = None

    def take_in(
        self, phi: Array, *, keep: float, eta: float, shared: Shared, key: tuple[Hashable, ...]
    ) -> Factor:
        """Add Φ of new items; returns the factor for :meth:`learn`. Cells that share Φ compute both once."""
        self.cross = self.cross * keep
        self.gram = shared.once((*key, "gram", keep), partial(self.gram.take_in, phi, keep))
        return shared.once((*key, "factor", keep, eta), partial(self.gram.factor, eta))

    def project(self, phi: npt.NDArray[Any]) -> Array:
        """Return real-valued codes (n, k) for Φ (n, d)."""
        assert self.weights is not None, "learn() comes first"
        return dot(phi, self.weights)

    def guess(self, phi: Features) -> Features:
        """Like :meth:`project`, in float32."""
        assert self.weights is not None, "learn() comes first"
        return narrow_dot(phi, self.weights)

    def learn(self, factor: Factor, phi: Array, codes: Array, change: Change | None = None) -> Change:
        """Solve for the weights, with codes (n, k) of Φ added to those of all earlier items.

        ``change`` is the result of the previous call for the same Φ: with it, only rows whose codes changed
        are recomputed.
        """
        if change is None:
            cross = self.cross + dot(phi.T, codes)
        else:
            rows = np.flatnonzero((codes != change.codes).any(axis=1))
            cross = change.cross + dot(phi[rows].T, codes[rows] - change.codes[rows])
        self.weights = factor.solve(cross)
        return Change(codes.copy(), cross)

    def leave_out(
        self, phi: Array, codes: Array, *, eta: float, shared: Shared, key: tuple[Hashable, ...]
    ) -> None:
        """Subtract Φ (n, d) of deleted items and their codes (n, k), and solve for the weights."""
        self.gram = shared.once((*key, "gram"), partial(self.gram.leave_out, phi))
        self.cross = self.cross - dot(phi.T, codes)
        self.weights = shared.once((*key, "factor", eta), partial(self.gram.factor, eta)).solve(self.cross)

    def loss(self, phi: Array, codes: Array, *, eta: float) -> float:
        """Return ``Σ‖b - φ W‖² + eta·n·‖W‖²`` over all items; Φ (already in ``gram``) has these codes."""
        lower = self.gram.sums.gram
        assert self.weights is not None and lower is not None, "learn() comes first"
        gram = np.tril(lower) + np.tril(lower, -1).T
        gram[np.diag_indices_from(gram)] += eta * self.gram.n
        cross = self.cross + phi.T @ codes
        n_bits = self.gram.n * codes.shape[1]
        return float(n_bits + np.sum(self.weights * (gram @ self.weights - 2.0 * cross)))


class Part(NamedTuple):
    """Items that are coded together, with the values that cells of one pass share."""

    signals: Signals
    phis: Mapping[Modality, Array]
    narrow: Mapping[Modality, Features]  # Φ as float32, precise enough where only the sign of a sum matters
    shared: Shared
    key: tuple[Hashable, ...]  # cache key of Φ
    keep: float  # factor on the weight of older items; 1: no fading


class Regressions:
    """The hash functions while the codes of a part are chosen; :meth:`learn` follows a change of codes."""

    def __init__(self, functions: Mapping[Modality, HashFunction], part: Part, eta: float) -> None:
        self.functions, self._part = functions, part
        self._factors = {
            m: f.take_in(part.phis[m], keep=part.keep, eta=eta, shared=part.shared, key=(*part.key, m))
            for m, f in functions.items()
        }
        self._learned: dict[Modality, Change] = {}

    @property
    def fresh(self) -> bool:
        """Whether the hash functions have never learned anything."""
        return any(f.weights is None for f in self.functions.values())

    def learn(self, codes: Array) -> None:
        """Refit the hash functions to these codes (n, k) of the part and all earlier ones."""
        for m, f in self.functions.items():
            self._learned[m] = f.learn(self._factors[m], self._part.phis[m], codes, self._learned.get(m))

    def guess(self) -> Array:
        """Σ_m Φ_m W_m (n, k), the real-valued codes of the part."""
        guesses = [f.guess(self._part.narrow[m]) for m, f in self.functions.items()]
        return np.asarray(np.sum(guesses, axis=0))

    def keep(self, codes: Array) -> None:
        """Learn the final codes and add them to the sums."""
        self.learn(codes)
        for m, f in self.functions.items():
            f.cross = self._learned[m].cross


class ClosedForm(State):
    """One hash function per modality, exact over all codes so far."""

    functions: dict[Modality, HashFunction]

    @classmethod
    def new(cls) -> Self:
        return cls({m: HashFunction(Gram(RunningGram())) for m in MODALITIES})

    def project(self, phi: npt.NDArray[Any], modality: Modality) -> Array:
        """Return real-valued codes (n, k) for Φ (n, d)."""
        return self.functions[modality].project(phi)


def descend(codes: Array, target: Array, coupling: Array, *, sweeps: int) -> None:
    """Set each bit in turn to its best value, in place (discrete cyclic coordinate descent).

    Minimises ``tr(B coupling Bᵀ) - 2 tr(B targetᵀ)`` over ``codes`` B (n, k) in {-1, +1}. Rows are
    independent, so a column is set at once. The diagonal of ``coupling`` adds only a constant and is dropped.
    """
    others = coupling.copy()
    np.fill_diagonal(others, 0.0)
    for _ in range(sweeps):
        for bit in range(codes.shape[1]):
            codes[:, bit] = signs(target[:, bit] - codes @ others[:, bit])


def signs(x: Array) -> Array:
    """Return +1.0 if ``x >= 0``, else -1.0: codes as floats, for products."""
    return np.where(x >= 0, 1.0, -1.0)


def descended_codes(
    groups: Sequence[Group], regressions: Regressions, *, alpha: float, iterations: int, sweeps: int
) -> Array:
    """Minimise F over codes and hash functions in turn (``codes=dcc``); returns codes (n, k).

    Every step minimises F exactly over its block, so F never rises (:func:`objective`).
    """
    codes = start(groups)
    for i in range(iterations):
        if i or regressions.fresh:  # the first pass reuses the weights of the previous chunk
            regressions.learn(codes)
        projected = alpha * regressions.guess()
        for rows, pull, coupling in groups:
            part = codes[rows]
            descend(part, pull + projected[rows], coupling, sweeps=sweeps)
            codes[rows] = part
    return codes


def start(groups: Sequence[Group]) -> Array:
    """Initial codes: the signs of the history's pull."""
    codes = np.empty((sum(len(g.rows) for g in groups), groups[0].pull.shape[1]))
    for rows, pull, _ in groups:
        codes[rows] = signs(pull)
    return codes


def objective(
    codes: Array,
    groups: Sequence[Group],
    functions: Mapping[Modality, HashFunction],
    phis: Mapping[Modality, Array],
    *,
    alpha: float,
    eta: float,
) -> float:
    """Evaluate F for codes (n, k) and the current weights, up to a constant, from sums alone.

    F = Σ_terms λ/N ‖B Cᵀ - target‖² + alpha Σ_m (Σ_all items ‖b - φ W‖² + eta·n ‖W‖²). ``phis`` must be in
    the functions' ``gram`` and not yet in their ``cross``, as inside :func:`descended_codes`.
    """
    similar = sum(
        float(np.sum(codes[rows] * (codes[rows] @ coupling - 2.0 * pull))) for rows, pull, coupling in groups
    )
    regress = sum(function.loss(phis[m], codes, eta=eta) for m, function in functions.items())
    return similar + alpha * regress
