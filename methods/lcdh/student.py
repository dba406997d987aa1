"""The student of LCDH in closed form: what it keeps of the past, and the steps that lower its objective.

Our reconstruction (see README.md): the paper's own equations were not available to us. All of the past enters
through sums over the history ``C`` of codes already given, so nothing here grows with the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from bench.methods._online import Array, Factor, RunningGram
from bench.methods.lcdh.linear import Projection
from bench.state import State


class Similarity(State):
    """Sums that stand for ``‖B Cᵀ - (scale · Z Z_Cᵀ + offset)‖² / n``, up to a constant.

    ``Z`` is a signal of new items, ``Z_C`` the same signal of the ``n`` history items that carry it,
    ``C`` (n, k) their codes. Kept: ``codes = CᵀC`` (k, k), ``signal = Z_CᵀC`` (w, k), ``total = 1ᵀC`` (k,).
    """

    scale: float
    offset: float
    n: int = 0
    codes: Array | float = 0.0
    signal: Array | float = 0.0
    total: Array | float = 0.0

    def add(self, z: Array, codes: Array) -> None:
        """Append items to the history: signal ``z`` (n, w), codes (n, k) of -1.0 and +1.0."""
        if len(codes):
            self.n += len(codes)
            self.codes = self.codes + codes.T @ codes
            self.signal = self.signal + z.T @ codes
            self.total = self.total + codes.sum(axis=0)

    def pull(self, z: Array) -> Array | float:
        """``(scale · Z Z_Cᵀ + offset) C / n``, (n, k): where the history wants the codes of these items."""
        if not self.n:
            return 0.0
        return (self.scale * (z @ self.signal) + self.offset * self.total) / self.n

    @property
    def coupling(self) -> Array | float:
        """``CᵀC / n``, (k, k): how much two bits of a code say the same about the history."""
        return self.codes / max(self.n, 1)


class HashFunction(State):
    """Ridge regression of ALL codes ever given on one modality's Φ (n, d): the student's FC layer.

    ``gram = ΣΦᵀΦ``, ``cross = ΣΦᵀB`` (d, k) and ``weights = (gram + eta·n·I)⁻¹ cross`` (d, k), float64.
    """

    features: Projection
    gram: RunningGram
    cross: Array | float = 0.0
    weights: Array | None = None

    @classmethod
    def fit(cls, x: npt.NDArray[Any], *, width: int) -> Self:
        """A function that has seen no codes yet, with features frozen to those of ``x`` (n, d)."""
        return cls(Projection.fit(x, width=width), RunningGram())

    def project(self, phi: Array) -> Array:
        """Real-valued codes (n, k) of Φ (n, d)."""
        assert self.weights is not None, "learn() comes first"
        projected: Array = phi @ self.weights
        return projected

    def learn(self, factor: Factor, phi: Array, codes: Array, *, keep: bool) -> None:
        """Solve for the weights with these codes (n, k) of Φ added; ``keep`` adds them for good."""
        cross = self.cross + phi.T @ codes
        self.weights = factor.solve(cross)
        if keep:
            self.cross = cross

    def loss(self, phi: Array, codes: Array, *, eta: float) -> float:
        """``Σ‖b - φ W‖² + eta·n·‖W‖²`` over all items; those of Φ, in ``gram`` already, have these codes."""
        assert self.weights is not None and self.gram.gram is not None, "learn() comes first"
        lower = self.gram.gram
        gram = np.tril(lower) + np.tril(lower, -1).T
        gram[np.diag_indices_from(gram)] += eta * self.gram.n
        cross = self.cross + phi.T @ codes
        n_bits = self.gram.n * codes.shape[1]
        return float(n_bits + np.sum(self.weights * (gram @ self.weights - 2.0 * cross)))


class Signals(NamedTuple):
    """What is known of n items beside the features that are hashed; a row is an item."""

    taught: Array | None  # Ĥ (n, k), or None without a teacher
    labels: Array  # unit rows (n, c); zeros where an item has no label
    features: Array  # both modalities' standardised features, unit rows (n, w)


class Group(NamedTuple):
    """Items of a chunk whose codes answer to the same similarities."""

    rows: npt.NDArray[np.intp]
    pull: Array  # (n, k): Σ λ · pull
    coupling: Array  # (k, k): Σ λ · coupling


class History(State):
    """All items coded so far, as sums of what the teacher, the labels and the features say of them.

    Every new item answers to the teacher. Beside that, one with labels is compared by them with the
    history that has labels; one without is compared by its features with the whole history.
    """

    bits: int
    taught: Similarity
    labels: Similarity
    features: Similarity

    @classmethod
    def empty(cls, bits: int) -> Self:
        """Nothing coded yet; targets ``Ĥ Ĥᵀ``, ``k (2 G Gᵀ - 1)`` and ``2 k X̂ X̂ᵀ``.

        The features are centred, so a cosine of 0 means unrelated already and nothing is taken off.
        """
        return cls(
            bits, Similarity(1.0, 0.0), Similarity(2.0 * bits, -1.0 * bits), Similarity(2.0 * bits, 0.0)
        )

    def add(self, signals: Signals, codes: Array) -> None:
        """Append items with codes (n, k) of -1.0 and +1.0."""
        known = signals.labels.any(axis=1)
        if signals.taught is not None:
            self.taught.add(signals.taught, codes)
        self.labels.add(signals.labels[known], codes[known])
        self.features.add(signals.features, codes)

    def groups(self, signals: Signals, *, lambda1: float, lambda2: float) -> list[Group]:
        """What the history asks of the codes of new items: those with labels, then those without."""
        known = signals.labels.any(axis=1)
        groups = []
        for rows, online, z in (
            (np.flatnonzero(known), self.labels, signals.labels),
            (np.flatnonzero(~known), self.features, signals.features),
        ):
            if not len(rows):
                continue
            pull = np.zeros((len(rows), self.bits)) + lambda2 * online.pull(z[rows])
            coupling = np.zeros((self.bits, self.bits)) + lambda2 * online.coupling
            if signals.taught is not None:
                pull += lambda1 * self.taught.pull(signals.taught[rows])
                coupling += lambda1 * self.taught.coupling
            groups.append(Group(rows, pull, coupling))
        return groups


def descend(codes: Array, target: Array, coupling: Array, *, sweeps: int) -> None:
    """Discrete cyclic coordinate descent, in place: each bit in turn gets its best value.

    Minimises ``tr(B coupling Bᵀ) - 2 tr(B targetᵀ)`` over ``codes`` B (n, k) in {-1, +1}. Rows are
    independent, so a whole column is set at once. The diagonal of ``coupling`` is a constant and is left out.
    """
    others = coupling.copy()
    np.fill_diagonal(others, 0.0)
    for _ in range(sweeps):
        for bit in range(codes.shape[1]):
            codes[:, bit] = signs(target[:, bit] - codes @ others[:, bit])


def signs(x: Array) -> Array:
    """+1.0 where ``x >= 0``, else -1.0: codes that can be multiplied."""
    return np.where(x >= 0, 1.0, -1.0)


def fit_codes(
    groups: Sequence[Group],
    functions: Sequence[HashFunction],
    phis: Sequence[Array],
    *,
    alpha: float,
    eta: float,
    iterations: int,
    sweeps: int,
) -> Array:
    """Codes (n, k) of new items, and hash functions that have learned them: minimise F over both in turn.

    ``phis`` holds Φ of the items, one for each of ``functions``. One Cholesky factor per function; every
    step minimises F exactly over its block, so F never rises (:func:`objective`).
    """
    factors = []
    for function, phi in zip(functions, phis, strict=True):
        function.gram.add(phi)
        factors.append(function.gram.factor(eta * function.gram.n))
    students = list(zip(functions, factors, phis, strict=True))
    codes = start(groups)
    for _ in range(iterations):
        for function, factor, phi in students:
            function.learn(factor, phi, codes, keep=False)
        projected = alpha * np.sum([function.project(phi) for function, _, phi in students], axis=0)
        for rows, pull, coupling in groups:
            part = codes[rows]
            descend(part, pull + projected[rows], coupling, sweeps=sweeps)
            codes[rows] = part
    for function, factor, phi in students:
        function.learn(factor, phi, codes, keep=True)
    return codes


def start(groups: Sequence[Group]) -> Array:
    """First codes: the signs of what the history alone wants."""
    codes = np.empty((sum(len(g.rows) for g in groups), groups[0].pull.shape[1]))
    for rows, pull, _ in groups:
        codes[rows] = signs(pull)
    return codes


def objective(
    codes: Array,
    groups: Sequence[Group],
    functions: Sequence[HashFunction],
    phis: Sequence[Array],
    *,
    alpha: float,
    eta: float,
) -> float:
    """F of the codes (n, k) and of the functions' present weights, up to a constant, from sums alone.

    F = Σ_terms λ/N ‖B Cᵀ - target‖² + alpha Σ_m (Σ_all items ‖b - φ W‖² + eta·n ‖W‖²). ``phis`` must be in
    the functions' ``gram`` and not yet in their ``cross``, as they are inside :func:`fit_codes`.
    """
    similar = sum(
        float(np.sum(codes[rows] * (codes[rows] @ coupling - 2.0 * pull))) for rows, pull, coupling in groups
    )
    regress = sum(function.loss(phi, codes, eta=eta) for function, phi in zip(functions, phis, strict=True))
    return similar + alpha * regress
