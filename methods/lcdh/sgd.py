"""LCDH's student by gradients: ``tanh`` networks on Φ, trained on each chunk in mini-batches.

Our reconstruction (docs/lcdh.md). The loss uses the same sums over the history as the closed form: every
step accounts for ALL earlier codes, exactly, without a similarity matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Modality, Rows, State, passes
from bench.methods._online import Array, dot
from bench.methods.lcdh.history import Group, History, Signals
from bench.methods.lcdh.student import Part, signs

Layers = list[Array]
BATCH = 64  # pairs per step: chunks are small, and the number of steps matters
MOMENTS = (0.9, 0.999)  # Adam's decay rates


class Networks(State):
    """Solver ``sgd``: one network per modality, ``tanh(Φ W)`` or, if hidden, ``tanh([relu(Φ V), 1] W)``.

    ``layers`` holds V (d, h), if any, and W (d or h + 1, k), float64.
    """

    bits: int
    hidden: int  # hidden units, or 0
    layers: dict[Modality, Layers] | None = None

    @classmethod
    def new(cls, *, bits: int, hidden: int) -> Self:
        return cls(bits, hidden)

    def start(self, widths: Mapping[Modality, int], rng: np.random.Generator) -> dict[Modality, Layers]:
        """Draw new weights: normal with standard deviation 1/√inputs."""
        return {m: self._layers(d, rng) for m, d in widths.items()}

    def _layers(self, d: int, rng: np.random.Generator) -> Layers:
        sizes = [(d, self.hidden), (self.hidden + 1, self.bits)] if self.hidden else [(d, self.bits)]
        return [rng.standard_normal(size) / size[0] ** 0.5 for size in sizes]

    def fit(
        self,
        part: Part,
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
        """Train the networks on new items; returns their codes sign(F_image + F_text), (n, k)."""
        if self.layers is None or not warm:
            self.layers = self.start({m: phi.shape[1] for m, phi in part.phis.items()}, rng)
        adam = {m: Adam(layers, rate) for m, layers in self.layers.items()}
        n = len(part.signals.labels)
        for _ in passes("student", epochs):
            for rows in np.array_split(rng.permutation(n), -(-n // BATCH)):
                phis = {m: phi[rows] for m, phi in part.phis.items()}
                pins = _of_rows(part.groups, rows, n) if pin else []
                outputs = {m: forward(self.layers[m], phi) for m, phi in phis.items()}
                signals = part.signals.take(rows)
                slopes = loss_slopes(outputs, signals, pins, lambda1=lambda1, lambda2=lambda2, gamma=gamma)
                for m, slope in slopes.items():
                    adam[m].step(backward(self.layers[m], phis[m], outputs[m], slope))
        return signs(np.sum([forward(self.layers[m], phi) for m, phi in part.phis.items()], axis=0))

    def project(self, phi: npt.NDArray[Any], modality: Modality) -> Array:
        """Return the outputs (n, k), in (-1, 1), for Φ (n, d)."""
        assert self.layers is not None, "fit() comes first"
        return forward(self.layers[modality], phi)


class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) on a list of weights, in place."""

    def __init__(self, layers: Layers, rate: float) -> None:
        self.layers, self.rate, self.steps = layers, rate, 0
        self.first, self.second = ([np.zeros_like(w) for w in layers] for _ in range(2))

    def step(self, gradients: Layers) -> None:
        self.steps += 1
        b1, b2 = MOMENTS
        rate = self.rate * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        for w, m, v, g in zip(self.layers, self.first, self.second, gradients, strict=True):
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + 1e-8)


def forward(layers: Layers, phi: Array) -> Array:
    """Return outputs F (n, k) for Φ (n, d); a zero row (missing modality) gives zeros."""
    inner = phi if len(layers) == 1 else _hidden(layers, phi)
    return np.tanh(dot(inner, layers[-1]))


def backward(layers: Layers, phi: Array, outputs: Array, slope: Array) -> Layers:
    """Return the gradients of the loss in all weights, from those in the outputs (n, k)."""
    inner = phi if len(layers) == 1 else _hidden(layers, phi)
    before = slope * (1.0 - outputs * outputs)
    last = dot(inner.T, before)
    if len(layers) == 1:
        return [last]
    through = dot(before, layers[-1][:-1].T) * (inner[:, :-1] > 0)
    return [dot(phi.T, through), last]


def _hidden(layers: Layers, phi: Array) -> Array:
    """Return ``[relu(Φ V), 1]``; the 1 is copied from Φ, so that zero rows stay zero."""
    return np.hstack([np.maximum(dot(phi, layers[0]), 0.0), phi[:, -1:]])


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
