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
from bench.methods.lcdh.history import History, Signals, strangers
from bench.methods.lcdh.student import Regressions, signs


class Balanced(State):
    """All items coded so far, by their codes B and by their embedding V, and the sum of BᵀV (k, k).

    New codes lower, over the new items and all earlier ones,

        λ1/N ‖V Bᵀ − Ĥ Ĥᵀ‖² + λ2/N ‖V Bᵀ − k S‖² + μ ‖B − V R‖² + α Σ_m ‖B − Φ_m W_m‖²

    with VᵀV = nI and Vᵀ1 = 0 in every chunk, R orthogonal, and B in {−1, +1}.
    """

    by_codes: History
    by_embedding: History
    cross: Array | float = 0.0

    @classmethod
    def empty(cls, bits: int) -> Self:
        return cls(History.empty(bits), History.empty(bits))

    @property
    def started(self) -> bool:
        return self.by_codes.features.n > 0

    def fade(self, keep: float) -> None:
        """Multiply the weight of everything so far by ``keep``."""
        self.by_codes.fade(keep)
        self.by_embedding.fade(keep)
        self.cross = self.cross * keep

    def started_with(
        self, signals: Signals, *, lambda1: float, lambda2: float, rng: np.random.Generator
    ) -> Array:
        """Codes (n, k) of new items by the pull of the embedding of earlier ones.

        Nothing pulls apart items all of whose classes are new; they would share a code. Theirs are random.
        """
        codes = signs(self.by_embedding.pull(signals, lambda1=lambda1, lambda2=lambda2))
        rows = strangers(signals.labels, self.by_codes.classes)
        codes[rows] = signs(rng.standard_normal((len(rows), codes.shape[1])))
        return codes

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
        codes = v = start
        rotation = procrustes(np.asarray(self.cross)) if self.started else np.eye(start.shape[1])
        for _ in range(iterations):
            pull = self.by_codes.pull(signals, lambda1=lambda1, lambda2=lambda2, own=codes)
            v = balanced_orthogonal(pull + mu * dot(codes, rotation.T), rng)
            rotation = procrustes(self.cross + dot(codes.T, v))
            regressions.learn(codes)
            pull = self.by_embedding.pull(signals, lambda1=lambda1, lambda2=lambda2, own=v)
            codes = signs(pull + mu * dot(v, rotation) + alpha * regressions.guess())
        self.by_codes.add(signals, codes)
        self.by_embedding.add(signals, v)
        self.cross = self.cross + dot(codes.T, v)
        return codes
