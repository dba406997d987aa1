"""LCDH's codes in balanced, asymmetric form: codes B and an embedding V of the same items, on running sums.

Our reconstruction (docs/lcdh.md); the asymmetric form with a balanced V is that of LEMON and its kin. Nothing here
grows with the stream, and nothing is n × n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from bench.api import Features, Modality, State
from bench.methods._codes import balanced_orthogonal, procrustes
from bench.methods._online import Array, Factor, dot
from bench.methods.lcdh.history import History, Signals
from bench.methods.lcdh.student import Change, HashFunction, signs


class Pull(NamedTuple):
    """Where similarities to all items pull the rows of new items: (n, k) each."""

    by_codes: Array  # pull of B on V
    by_embedding: Array  # pull of V on B


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

    def pull(self, signals: Signals, codes: Array, v: Array, *, lambda1: float, lambda2: float) -> Pull:
        """The pull of all earlier items and of the new ones themselves, with these codes and embedding."""
        now = self.history.copy()
        now.add(signals, np.hstack([codes, v]))
        both = np.empty((len(codes), 2 * self.bits))
        for group in now.groups(signals, lambda1=lambda1, lambda2=lambda2):
            both[group.rows] = group.pull
        return Pull(both[:, : self.bits], both[:, self.bits :])

    def fit(
        self,
        signals: Signals,
        codes: Array,
        functions: Mapping[Modality, HashFunction],
        factors: Mapping[Modality, Factor],
        phis: Mapping[Modality, Array],
        narrow: Mapping[Modality, Features],
        *,
        lambda1: float,
        lambda2: float,
        alpha: float,
        mu: float,
        iterations: int,
        rng: np.random.Generator,
    ) -> tuple[Array, dict[Modality, Change]]:
        """Choose codes (n, k) for new items, from initial ``codes``; returns them and the last regressions."""
        learned: dict[Modality, Change] = {}
        rotation = procrustes(np.asarray(self.cross)) if self.started else np.eye(self.bits)
        v = codes
        for _ in range(iterations):
            z = self.pull(signals, codes, v, lambda1=lambda1, lambda2=lambda2).by_codes
            v = balanced_orthogonal(z + mu * dot(codes, rotation.T), rng)
            rotation = procrustes(self.cross + dot(codes.T, v))
            target = self.pull(signals, codes, v, lambda1=lambda1, lambda2=lambda2).by_embedding
            target = target + mu * dot(v, rotation)
            if alpha:
                for m, f in functions.items():
                    learned[m] = f.learn(factors[m], phis[m], codes, learned.get(m))
                target += alpha * np.sum([f.guess(narrow[m]) for m, f in functions.items()], axis=0)
            codes = signs(target)
        self.history.add(signals, np.hstack([codes, v]))
        self.cross = self.cross + dot(codes.T, v)
        return codes, learned
