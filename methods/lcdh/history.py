"""LCDH's history: sums over all coded items that turn three similarities into targets for new codes.

The similarities are those of teacher, labels and features. Our reconstruction (docs/lcdh.md). Nothing here
grows with the stream, and nothing is n × n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas

from bench.api import Features, Rows, State
from bench.methods._online import Array, dot

TINY = 1e-6  # norms of standardised features below this are rounding errors


@dataclass(frozen=True, slots=True)
class UnitRows:
    """X̂ (n, w), never formed: both modalities' Φ side by side, without the column of ones, rows of norm 1.

    ``weights`` holds the factor of each row of each Φ (n, d + 1). Products are float32.
    """

    phis: tuple[Features, ...]
    weights: tuple[Features, ...]

    @classmethod
    def of(cls, phis: Iterable[Features]) -> Self:
        """Scale each modality to norm 1, then both together; missing or zero modalities do not count."""
        phis = tuple(phis)
        norms = [np.sqrt(np.maximum(np.einsum("ij,ij->i", p, p) - p[:, -1], 0.0)) for p in phis]
        inverse = [np.where(n > TINY, 1.0 / np.maximum(n, TINY), 0.0) for n in norms]
        count = np.maximum(np.sum([i > 0 for i in inverse], axis=0), 1)
        return cls(phis, tuple((i / np.sqrt(count)).astype(np.float32) for i in inverse))

    def take(self, rows: Rows) -> Self:
        return type(self)(tuple(p[rows] for p in self.phis), tuple(w[rows] for w in self.weights))

    def times(self, matrix: Array) -> Array:
        """Return X̂ M, (n, k), for M (w, k)."""
        ends = np.cumsum([p.shape[1] - 1 for p in self.phis])
        padded = [np.vstack([part, np.zeros((1, part.shape[1]))]) for part in np.split(matrix, ends[:-1])]
        pairs = zip(self.phis, padded, self.weights, strict=True)
        return np.sum([narrow_dot(p, m) * w[:, None] for p, m, w in pairs], axis=0, dtype=np.float64)

    def cross(self, codes: Array) -> Array:
        """Return X̂ᵀ C, (w, k), for C (n, k)."""
        pairs = zip(self.phis, self.weights, strict=True)
        return np.vstack([narrow_dot(p.T, codes * w[:, None])[:-1] for p, w in pairs]).astype(np.float64)

    def array(self) -> Array:
        """Form X̂ (n, w)."""
        pairs = zip(self.phis, self.weights, strict=True)
        return np.hstack([p[:, :-1] * w[:, None] for p, w in pairs]).astype(np.float64)


def narrow_dot(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Features:
    """Return ``a @ b`` in float32; cheaper than :func:`dot`."""
    left, right = (np.asarray(x, dtype=np.float32) for x in (a, b))
    swap = [not x.flags.f_contiguous for x in (left, right)]
    left, right = (np.ascontiguousarray(x).T if s else x for x, s in zip((left, right), swap, strict=True))
    product: Features = blas.sgemm(1.0, left, right, trans_a=swap[0], trans_b=swap[1])
    return product


def times(z: Array | UnitRows, matrix: Array) -> Array:
    return z.times(matrix) if isinstance(z, UnitRows) else dot(z, matrix)


def cross(z: Array | UnitRows, codes: Array) -> Array:
    return z.cross(codes) if isinstance(z, UnitRows) else dot(z.T, codes)


class Similarity(State):
    """Sums that represent ``‖B Cᵀ - (scale · Z Z_Cᵀ + offset)‖² / n``, up to a constant.

    ``Z`` is a signal of new items, ``Z_C`` the same signal of the ``n`` history items that have it, ``C``
    (n, k) their codes. The sums are ``codes = CᵀC`` (k, k), ``signal = Z_CᵀC`` (w, k), ``total = 1ᵀC`` (k,).
    """

    scale: float
    offset: float
    n: float = 0.0
    codes: Array | float = 0.0
    signal: Array | float = 0.0
    total: Array | float = 0.0

    def add(self, z: Array | UnitRows, codes: Array) -> None:
        """Append items to the history: signal ``z`` (n, w) and codes (n, k), binary or real."""
        if len(codes):
            self.n += len(codes)
            self.codes = self.codes + dot(codes.T, codes)
            self.signal = self.signal + cross(z, codes)
            self.total = self.total + codes.sum(axis=0)

    def fade(self, keep: float) -> None:
        """Multiply the weight of everything so far by ``keep``."""
        self.n, self.codes = self.n * keep, self.codes * keep
        self.signal, self.total = self.signal * keep, self.total * keep

    def joined(self, z: Array | UnitRows, codes: Array) -> Self:
        """The sums that pull, with these items; ``codes`` = CᵀC stays as it was."""
        signal, total = self.signal + cross(z, codes), self.total + codes.sum(axis=0)
        return replace(self, n=self.n + len(codes), signal=signal, total=total)

    def pull(self, z: Array | UnitRows) -> Array | float:
        """Return ``(scale · Z Z_Cᵀ + offset) C / n``, (n, k): where the history pulls the new codes."""
        if not self.n:
            return 0.0
        return (self.scale * times(z, np.asarray(self.signal)) + self.offset * self.total) / self.n

    @property
    def coupling(self) -> Array | float:
        """Correlation of the bits over the history, ``CᵀC / n``, (k, k)."""
        return self.codes / self.n if self.n else 0.0


class Signals(NamedTuple):
    """Signals of n items beside the hashed features; one row per item."""

    taught: Array | None  # Ĥ (n, k), or None without a teacher
    labels: Array  # unit rows (n, c); unlabelled rows are zero
    features: UnitRows  # X̂ (n, w)

    def take(self, rows: Rows) -> Signals:
        taught = None if self.taught is None else self.taught[rows]
        return Signals(taught, self.labels[rows], self.features.take(rows))

    def untaught(self, rows: Rows) -> Signals:
        """The same without what the teacher says of these rows."""
        if self.taught is None or not len(rows):
            return self
        taught = self.taught.copy()
        taught[rows] = 0.0
        return self._replace(taught=taught)


def strangers(labels: Array, classes: npt.NDArray[np.bool_] | None) -> Rows:
    """Return the rows of ``labels`` (n, c) that have classes, but none of ``classes`` (c,)."""
    known = np.zeros(labels.shape[1], bool) if classes is None else classes
    return np.flatnonzero(labels.any(axis=1) & ~labels[:, known].any(axis=1))


class Group(NamedTuple):
    """Items of a chunk whose codes are subject to the same similarities."""

    rows: Rows
    pull: Array  # (n, k): Σ λ · pull
    coupling: Array  # (k, k): Σ λ · coupling


class History(State):
    """All items coded so far, as sums over teacher signals, labels and features.

    The teacher's similarity applies to every new item. In addition, labelled items are compared by labels
    with the labelled part of the history, and unlabelled items by features with all of it.
    """

    bits: int
    taught: Similarity
    labels: Similarity
    features: Similarity
    classes: npt.NDArray[np.bool_] | None = None  # (c,): classes with an item in the history

    @classmethod
    def empty(cls, bits: int) -> Self:
        """Start without items; the targets are ``Ĥ Ĥᵀ``, ``k (2 G Gᵀ - 1)`` and ``2 k X̂ X̂ᵀ``.

        The features are centred, so a cosine of 0 already means unrelated: their target has no offset.
        """
        return cls(
            bits,
            Similarity(1.0, 0.0),
            Similarity(2.0 * bits, -1.0 * bits),
            Similarity(2.0 * bits, 0.0),
        )

    def add(self, signals: Signals, codes: Array) -> None:
        """Append items with codes (n, k): -1.0 and +1.0, or real ones."""
        known = signals.labels.any(axis=1)
        if signals.taught is not None:
            self.taught.add(signals.taught, codes)
        self.labels.add(signals.labels[known], codes[known])
        self.features.add(signals.features, codes)
        if known.any():
            present = np.asarray(signals.labels.any(axis=0))
            self.classes = present if self.classes is None else self.classes | present

    def pull(self, signals: Signals, *, lambda1: float, lambda2: float, own: Array | None = None) -> Array:
        """Return Σ λ · pull (n, k) on new items: of earlier ones and, given their codes ``own``, of these."""
        known = np.asarray(signals.labels.any(axis=1))
        taught, labels, features = self.taught, self.labels, self.features
        if own is not None:
            if signals.taught is not None:
                taught = taught.joined(signals.taught, own)
            labels = labels.joined(signals.labels[known], own[known])
            features = features if known.all() else features.joined(signals.features, own)
        total = np.zeros((len(known), self.bits))
        if signals.taught is not None:
            total += lambda1 * taught.pull(signals.taught)
        total[known] += lambda2 * labels.pull(signals.labels[known])
        if not known.all():
            rest = np.flatnonzero(~known)
            total[rest] += lambda2 * features.pull(signals.features.take(rest))
        return total

    def fade(self, keep: float) -> None:
        """Multiply the weight of everything so far by ``keep``."""
        for similarity in (self.taught, self.labels, self.features):
            similarity.fade(keep)

    def newcomers(self, signals: Signals) -> Rows:
        """Return the rows of items with a class that has no item in the history."""
        new = signals.labels.any(axis=0)
        if self.classes is not None:
            new &= ~self.classes
        return np.flatnonzero(signals.labels[:, new].any(axis=1))

    def groups(self, signals: Signals, *, lambda1: float, lambda2: float) -> list[Group]:
        """Return the history's pull on new codes: labelled items first, then unlabelled ones."""
        known = np.asarray(signals.labels.any(axis=1))
        groups = []
        for of_labels in (True, False):
            rows = np.flatnonzero(known == of_labels)
            if not len(rows):
                continue
            some = signals if len(rows) == len(known) else signals.take(rows)
            online, z = (self.labels, some.labels) if of_labels else (self.features, some.features)
            pull = np.zeros((len(rows), self.bits)) + lambda2 * online.pull(z)
            coupling = np.zeros((self.bits, self.bits)) + lambda2 * online.coupling
            if some.taught is not None:
                pull += lambda1 * self.taught.pull(some.taught)
                coupling += lambda1 * self.taught.coupling
            groups.append(Group(rows, pull, coupling))
        return groups
