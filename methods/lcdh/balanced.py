"""LCDH's codes in balanced, asymmetric form: codes B and an embedding V of the same items, on running sums.

Our reconstruction (docs/lcdh.md); the asymmetric form with a balanced V is that of LEMON and its kin.
Nothing here grows with the stream, and nothing is n × n.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from bench.api import State
from bench.methods._codes import balanced_orthogonal, procrustes
from bench.methods._online import Array, dot
from bench.methods.lcdh.history import History, Signals
from bench.methods.lcdh.student import Regressions, signs


class Balanced(State):
    """All items coded so far: a history of ``[B, V]`` side by side, and ``BᵀV`` (k, k).

    New codes lower, over the new items and all earlier ones,

        λ1/N ‖V Bᵀ − Ĥ Ĥᵀ‖² + λ2/N ‖V Bᵀ − k S‖² + μ ‖B − V R‖² + α Σ_m ‖B − Φ_m W_m‖²

    with VᵀV = nI and Vᵀ1 = 0 in every chunk, R orthogonal, and B in {−1, +1}.
    """

    bits: int
    history: History
    cross: Array | float = 0.0

    @classmethod
    def empty(cls, bits: int) -> Self:
        return cls(bits, History.empty(bits, columns=2 * bits))

    @property
    def started(self) -> bool:
        return self.history.features.n > 0

    def fade(self, keep: float) -> None:
        """Multiply the weight of everything so far by ``keep``."""
        self.history.fade(keep)
        self.cross = self.cross * keep

    def started_with(self, signals: Signals, *, lambda1: float, lambda2: float) -> Array:
        """Codes (n, k) of new items by the pull of the embedding of earlier ones."""
        return signs(self._pull(self.history, signals, lambda1, lambda2)[:, self.bits :])

    def codes(
        self,
        signals: Signals,
        start: Array,
        regressions: Regressions,
        *,
        lambda1: float,
        lambda2: float,
        alpha: float,
        mu: float,
        iterations: int,
        rng: np.random.Generator,
    ) -> Array:
        """Choose codes (n, k) for new items, from those of ``start``, and add them to the sums."""
        codes, v, k = start, start, self.bits
        mixed = not signals.labels.any(axis=1).all()  # some items are compared by features
        rotation = procrustes(np.asarray(self.cross)) if self.started else np.eye(k)
        for _ in range(iterations):
            pull = self._pull(self._with(signals, codes, v, mixed), signals, lambda1, lambda2)[:, :k]
            v = balanced_orthogonal(pull + mu * dot(codes, rotation.T), rng)
            rotation = procrustes(self.cross + dot(codes.T, v))
            regressions.learn(codes)
            pull = self._pull(self._with(signals, codes, v, mixed), signals, lambda1, lambda2)[:, k:]
            codes = signs(pull + mu * dot(v, rotation) + alpha * regressions.guess())
        self.history.add(signals, np.hstack([codes, v]))
        self.cross = self.cross + dot(codes.T, v)
        return codes

    def _with(self, signals: Signals, codes: Array, v: Array, mixed: bool) -> History:
        """The history with new items; their features count only if ``mixed``."""
        history = self.history.copy()
        history.add(signals, np.hstack([codes, v]), features=mixed)
        return history

    def _pull(self, history: History, signals: Signals, lambda1: float, lambda2: float) -> Array:
        """The pull on V by all codes and on B by all embeddings, side by side (n, 2k)."""
        both = np.empty((len(signals.labels), 2 * self.bits))
        for group in history.groups(signals, lambda1=lambda1, lambda2=lambda2):
            both[group.rows] = group.pull
        return both
