"""ROH: random online hashing, our reconstruction; an item has a different code in each modality."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Features,
    Method,
    Modality,
    Source,
    State,
    param,
    sign,
)
from bench.methods._codes import normalise_labels, signs
from bench.methods._online import Array, RunningGram, RunningMean, dot, linear_outputs


class Sums(State):
    """Running sums over all items so far, with codes B, for one modality.

    With r bits and c classes: gb (c, r), bb (r, r), b (r,); G is the normalised label matrix.
    """

    gb: Array
    bb: Array
    b: Array

    @classmethod
    def zero(cls, r: int, c: int) -> Sums:
        return cls(*(np.zeros(shape) for shape in [(c, r), (r, r), (r,)]))

    def plus(self, g: Array, b: Array) -> Sums:
        """Return the sums including one chunk: g (n, c), b (n, r)."""
        return Sums(gb=self.gb + dot(g.T, b), bb=self.bb + dot(b.T, b), b=self.b + b.sum(axis=0))


class Axes(NamedTuple):
    """The k principal directions of one modality's features over all rounds.

    ``directions`` is (d, k) and ``shift`` (k,) the running mean along them. ``scores`` (n, k) belong to the
    new items, minus ``shift``; ``power`` (k,) is the sum of squared scores over all items.
    """

    directions: Array
    shift: Array
    scores: Array
    power: Array

    @classmethod
    def of(cls, gram: RunningGram, mean: Array, x: Features, k: int) -> Axes:
        """Compute the axes from the sums over all rounds and the new features ``x`` (n, d)."""
        assert gram.gram is not None, "add() comes first"
        d = len(mean)
        scatter = gram.gram - gram.n * np.outer(mean, mean)
        values, vectors = eigh(scatter, lower=True, subset_by_index=[max(d - k, 0), d - 1])
        shift = dot(vectors.T, mean[:, None])[:, 0]
        return cls(vectors, shift, dot(x, vectors) - shift, values)

    def regression(self, cross: Array, total: Array, b: Array) -> Array:
        """Regress the codes of all items on their scores: R (k, r).

        ``cross`` (d, r) and ``total`` (r,) are the sums of xᵀb and b over old items, b (n, r) the new codes.
        """
        old = dot(self.directions.T, cross) - np.outer(self.shift, total)
        live = self.power > len(self.directions) * np.finfo(np.float64).eps * self.power.max()
        return (old + dot(self.scores.T, b)) * np.where(live, 1 / np.where(live, self.power, 1.0), 0.0)[
            :, None
        ]


class ROH(Method):
    """Map labels to codes and back with one linear bridge; codes keep the features' main direction.

    Our reconstruction. For codes B_m (n, r) of new items in modality m, normalised labels G and scores
    Z_m (n, k) of the features along their k directions of largest variance, it lowers

        Σ_m [ alpha ‖B_m/√r - G D‖² + beta ‖G - B_m Dᵀ/√r‖² + mu ‖B_m/√r - Z_m R_m‖² ] + gamma ‖D‖²

    in turn over the bridge D (c, r), R_m (k, r) and every bit of B_m, without pairwise similarities. D and
    R_m are fitted to all rounds, with old codes frozen:

        (2 alpha ΣGᵀG + gamma I) D + D (beta/r) Σ_m ΣB_mᵀB_m = (alpha + beta)/√r Σ_m ΣGᵀB_m
        R_m = (ΣZ_mᵀZ_m)⁻¹ ΣZ_mᵀB_m / √r
        bit k of B_m = sign of column k of √r ((alpha + beta) G D + mu Z_m R_m) - beta B_m (DᵀD - diag DᵀD)

    The directions are principal directions of all features so far. If D maps labels to codes and Dᵀ maps
    codes to labels, the codes of the classes are orthogonal; hence one matrix can serve both ways. The hash
    function of a modality is a ridge regression of its codes on the raw features over all rounds. A learned
    database holds B_m for modality m.
    """

    alpha: float = param(1.0, "weight of the bridge from labels to codes", above=0)
    beta: float = param(1.0, "weight of the bridge from codes to labels", above=0)
    mu: float = param(1.0, "weight of the features' main directions in the codes", least=0)
    gamma: float = param(1e-2, "ridge penalty of the bridge", above=0)
    xi: float = param(1.0, "ridge penalty of the hash functions", above=0)
    directions: int = param(1, "principal directions that the codes of a modality keep", least=1)
    iterations: int = param(10, "alternating updates per chunk", least=1)

    capabilities = Capabilities(supervised=True, learned_codes=True, scaled=True)
    source = Source(
        paper="K. Jiang et al. Random Online Hashing for Cross-Modal Retrieval. TNNLS 2023",
        fidelity="reconstruction",
        note="Neither code nor equations were available. From the abstract: supervised; a linear bridging "
        "matrix ties labels and codes in both directions, so that no pairwise similarity is factorised; "
        "codes are modality-specific and keep the direction of the features' largest eigenvalue; chunks are "
        "learned online. Ours: objective, updates, defaults, and that old codes never change. Unknown: what "
        "the name's 'random' refers to.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gg_: Array | None = None  # Σ GᵀG, (c, c)
        self.sums_: dict[Modality, Sums] = {}
        self.mean_: dict[Modality, RunningMean] = {m: RunningMean() for m in MODALITIES}
        self.gram_: dict[Modality, RunningGram] = {m: RunningGram() for m in MODALITIES}
        self.cross_: dict[Modality, Array] = {}  # Σ XᵀB, (d, r)
        self.w_: dict[Modality, Array] = {}  # hash functions, (d, r)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        g = normalise_labels(chunk.labels)
        x = {m: chunk.batch(m).features for m in MODALITIES}
        if self.gg_ is None:
            self._begin(x, classes=g.shape[1])
        assert self.gg_ is not None, "_begin() sets it"
        self.gg_ = self.gg_ + dot(g.T, g)
        b = self._learn(g, {m: self._axes(chunk, m) for m in MODALITIES})
        for m in MODALITIES:
            self.sums_[m] = self.sums_[m].plus(g, b[m])
            self.cross_[m] = self.cross_[m] + dot(x[m].T, b[m])
            factor = chunk.shared.once(("factor", m, self.xi), partial(self.gram_[m].factor, self.xi))
            self.w_[m] = factor.solve(self.cross_[m])
        self._codes = {m: b[m].astype(np.int8) for m in MODALITIES}

    def _begin(self, x: Mapping[Modality, Features], classes: int) -> None:
        self.gg_ = np.zeros((classes, classes))
        self.sums_ = {m: Sums.zero(self.bits, classes) for m in MODALITIES}
        self.cross_ = {m: np.zeros((x[m].shape[1], self.bits)) for m in MODALITIES}

    def _axes(self, chunk: Chunk, m: Modality) -> Axes:
        """Add the chunk to the sums of modality ``m`` and return its main directions."""
        x = chunk.batch(m).features
        mean = self.mean_[m].add(x)
        self.gram_[m] = chunk.shared.once(("gram", m), partial(self.gram_[m].add, x))
        find = partial(Axes.of, self.gram_[m], mean, x, self.directions)
        return chunk.shared.once(("axes", m, self.directions), find)

    def _learn(self, g: Array, axes: Mapping[Modality, Axes]) -> dict[Modality, Array]:
        """Learn the codes B_m (n, r) of the new items in both modalities."""
        scale = np.sqrt(self.bits)
        b = {m: signs(self.rng.standard_normal((len(g), self.bits))) for m in MODALITIES}
        for _ in range(self.iterations):
            bridge = self._bridge({m: self.sums_[m].plus(g, b[m]) for m in MODALITIES})
            from_labels = scale * (self.alpha + self.beta) * dot(g, bridge)
            overlap = self.beta * dot(bridge.T, bridge)
            for m in MODALITIES:
                r = axes[m].regression(self.cross_[m], self.sums_[m].b, b[m])
                b[m] = sweep(b[m], from_labels + self.mu * dot(axes[m].scores, r), overlap)
        return b

    def _bridge(self, sums: Mapping[Modality, Sums]) -> Array:
        """Solve for D (c, r): a Sylvester equation, which is a division in the eigenbases of its sides."""
        assert self.gg_ is not None
        labels, left = eigh(len(MODALITIES) * self.alpha * self.gg_)
        codes, right = eigh(self.beta / self.bits * sum(part.bb for part in sums.values()))
        target = (self.alpha + self.beta) / np.sqrt(self.bits) * sum(part.gb for part in sums.values())
        turned = dot(dot(left.T, target), right)
        scale = np.maximum(labels, 0)[:, None] + np.maximum(codes, 0) + self.gamma
        return dot(dot(left, turned / scale), right.T)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes[modality]


def sweep(b: Array, target: Array, overlap: Array) -> Array:
    """Set every bit of codes ``b`` (n, r) in turn to its best value, the others fixed; returns new codes.

    Lowers ``tr(b overlap bᵀ) - 2 tr(b targetᵀ)`` for target (n, r) and a symmetric overlap (r, r).
    """
    b = b.copy(order="F")
    others = overlap - np.diag(np.diag(overlap))
    for k in range(b.shape[1]):
        b[:, k] = signs(target[:, k] - dot(b, others[:, k : k + 1])[:, 0])
    return b
