"""LCDH's student by gradients: ``tanh(Φ W)``, trained on each chunk in mini-batches.

Our reconstruction (docs/lcdh.md). The loss uses the same sums over the history as the closed form: every
step accounts for ALL earlier codes, exactly, without a similarity matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Modality, Rows, State, passes
from bench.methods._online import Array, dot
from bench.methods.lcdh.history import Group, History, Signals
from bench.methods.lcdh.student import Part, signs

BATCH = 64  # pairs per step: chunks are small, and the number of steps matters
MOMENTS = (0.9, 0.999)  # Adam's decay rates


class Layers(State):
    """Solver ``sgd``: one layer per modality, ``tanh(Φ W)``; ``weights`` holds W (d, k), float64."""

    bits: int
    weights: dict[Modality, Array] | None = None

    def fit(
        self,
        part: Part,
        groups: Sequence[Group],
        rng: np.random.Generator,
        *,
        lambda1: float,
        lambda2: float,
        gamma: float,
        epochs: int,
        rate: float,
        pin: bool,
        warm: bool,
    ) -> Array:
        """Train the layers on new items; returns their codes sign(F_image + F_text), (n, k)."""
        if self.weights is None or not warm:
            shapes = {m: (phi.shape[1], self.bits) for m, phi in part.phis.items()}
            self.weights = {m: rng.standard_normal(shape) / shape[0] ** 0.5 for m, shape in shapes.items()}
        adam = {m: Adam(w, rate) for m, w in self.weights.items()}
        n = len(part.signals.labels)
        for _ in passes("student", epochs):
            for rows in np.array_split(rng.permutation(n), -(-n // BATCH)):
                phis = {m: phi[rows] for m, phi in part.phis.items()}
                pins = _of_rows(groups, rows, n) if pin else []
                outputs = {m: forward(self.weights[m], phi) for m, phi in phis.items()}
                signals = part.signals.take(rows)
                slopes = loss_slopes(outputs, signals, pins, lambda1=lambda1, lambda2=lambda2, gamma=gamma)
                for m, slope in slopes.items():
                    adam[m].step(backward(phis[m], outputs[m], slope))
        return signs(np.sum([forward(self.weights[m], phi) for m, phi in part.phis.items()], axis=0))

    def project(self, phi: npt.NDArray[Any], modality: Modality) -> Array:
        """Return the outputs (n, k), in (-1, 1), for Φ (n, d)."""
        assert self.weights is not None, "fit() comes first"
        return forward(self.weights[modality], phi)


class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) on an array of weights, in place."""

    def __init__(self, weights: Array, rate: float) -> None:
        self.weights, self.rate, self.steps = weights, rate, 0
        self.first, self.second = np.zeros_like(weights), np.zeros_like(weights)

    def step(self, gradient: Array) -> None:
        self.steps += 1
        b1, b2 = MOMENTS
        rate = self.rate * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        self.first += (1 - b1) * (gradient - self.first)
        self.second += (1 - b2) * (gradient * gradient - self.second)
        self.weights -= rate * self.first / (np.sqrt(self.second) + 1e-8)


def forward(weights: Array, phi: Array) -> Array:
    """Return outputs F (n, k) for Φ (n, d); a zero row (missing modality) gives zeros."""
    return np.tanh(dot(phi, weights))


def backward(phi: Array, outputs: Array, slope: Array) -> Array:
    """Return the gradient of the loss in the weights, from that in the outputs (n, k)."""
    return dot(phi.T, slope * (1.0 - outputs * outputs))


def loss_slopes(
    outputs: Mapping[Modality, Array],
    signals: Signals,
    pins: Sequence[Group],
    *,
    lambda1: float,
    lambda2: float,
    gamma: float,
) -> dict[Modality, Array]:
    """Return the gradients (b, k), per modality, of this loss of a batch in its outputs F_m::

        Σ_(P, Q, w) w/b² Σ_s λ_s ‖P Qᵀ/k - S_s‖²         w = 1 for (F_I, F_T), ½ for (F_m, F_m)
        + Σ_m 1/(bN) Σ_s λ_s ‖F_m Cᵀ/k - S_s‖²            history pin: ``pins``
        + γ/(bk) Σ_m ‖F_m - sign(F_I + F_T)‖²

    The targets S (teacher and online) are those of :class:`History`, separate for labelled and unlabelled
    rows. In a mixed batch each row follows its own targets, with the other side held fixed.
    """
    b, k = next(iter(outputs.values())).shape
    references = [list(pins)]
    for f in outputs.values():
        own = History.empty(k)
        own.add(signals, f)
        references.append(own.groups(signals, lambda1=lambda1, lambda2=lambda2))
    rounded = signs(np.sum(list(outputs.values()), axis=0))
    slopes = {}
    for m in MODALITIES:
        f = outputs[m]
        slope = (2.0 * gamma / (b * k)) * (f - rounded)
        for rows, pull, coupling in (group for groups in references for group in groups):
            slope[rows] += (2.0 / (b * k * k)) * (dot(f[rows], coupling) - pull)
        slopes[m] = slope
    return slopes


def _of_rows(groups: Sequence[Group], rows: Rows, n: int) -> list[Group]:
    """Restrict the groups to these rows of the n items, renumbered from 0."""
    position = np.full(n, -1)
    position[rows] = np.arange(len(rows))
    restricted = []
    for group in groups:
        inside = np.flatnonzero(position[group.rows] >= 0)
        restricted.append(Group(position[group.rows[inside]], group.pull[inside], group.coupling))
    return [group for group in restricted if len(group.rows)]
