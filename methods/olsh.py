"""OLSH: online latent semantic hashing, our reconstruction; the authors' formulas are not public."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.linalg import solve

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._codes import normalise_labels
from bench.methods._online import Array, Factor, RunningGram, RunningMean, dot, linear_outputs


class OLSH(Method):
    """Map labels to a continuous latent semantic space and regress both modalities onto it.

    Our reconstruction. For new items with features X_m, centred by the running mean, and normalised labels
    G, it minimises, with old latent semantics V frozen,

        beta ‖G - V U‖² + Σ_m lambda_m ‖V - X_m W_m‖² + gamma (‖V‖² + ‖U‖² + Σ_m ‖W_m‖²)

    by ridge solutions for V, U and W_m in turn, with sums over old rounds for U and W_m. A new item gets the
    signs of V minus the running mean of V; its code never changes. V is not made orthogonal: with fewer
    classes than bits, some bits would be random.
    """

    lambda1: float = param(1.0, "weight of the image hash functions", above=0)
    lambda2: float = param(1.0, "weight of the text hash functions", above=0)
    beta: float = param(1.0, "weight of the label dictionary", above=0)
    gamma: float = param(1e-2, "ridge penalty; 0.01 suits features of unit scale", above=0)
    iterations: int = param(10, "alternating updates per chunk", least=1)

    capabilities = Capabilities(supervised=True, learned_codes=True)
    source = Source(
        paper="T. Yao, G. Wang, L. Yan, X. Kong, Q. Su, C. Zhang, Q. Tian. Online latent semantic hashing "
        "for cross-media retrieval. Pattern Recognition 89 (2019) 1-11",
        fidelity="reconstruction",
        note="Neither code nor equations were available. From the abstract: supervised; labels are mapped to "
        "a continuous latent space; hash functions are updated from new items only; old codes never change. "
        "Objective, updates and defaults are ours.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mean_: dict[Modality, RunningMean] = {m: RunningMean() for m in MODALITIES}
        self.gram_: dict[Modality, RunningGram] = {m: RunningGram() for m in MODALITIES}
        self.cross_: dict[Modality, Array] = {}  # Σ XᵀV, (d, r)
        self.w_: dict[Modality, Array] = {}  # hash functions, (d, r)
        self.latent_mean_ = RunningMean()  # mean of V, (r,)
        self.u_: Array | None = None  # label dictionary, (r, c)

    @property
    def _weights(self) -> dict[Modality, float]:
        return {"image": self.lambda1, "text": self.lambda2}

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        g = normalise_labels(chunk.labels)
        if self.u_ is None:
            self._begin(chunk, classes=g.shape[1])
        x, factors = {}, {}
        for m, weight in self._weights.items():
            features = chunk.batch(m).features
            x[m] = features - self.mean_[m].add(features)
            penalty = self.gamma / weight
            self.gram_[m] = chunk.shared.once(("gram", m), partial(self.gram_[m].add, x[m]))
            factors[m] = chunk.shared.once(("factor", m, penalty), partial(self.gram_[m].factor, penalty))
        v = self._learn(g, x, factors)
        self.vv_ += dot(v.T, v)
        self.vg_ += dot(v.T, g)
        for m in MODALITIES:
            self.cross_[m] += dot(x[m].T, v)
        self._codes = sign(v - self.latent_mean_.add(v))

    def _begin(self, chunk: Chunk, classes: int) -> None:
        self.u_ = self.rng.standard_normal((self.bits, classes))
        self.vv_ = np.zeros((self.bits, self.bits))
        self.vg_ = np.zeros((self.bits, classes))
        for m in MODALITIES:
            shape = (chunk.batch(m).features.shape[1], self.bits)
            self.cross_[m], self.w_[m] = np.zeros(shape), np.zeros(shape)

    def _learn(self, g: Array, x: dict[Modality, Array], factors: dict[Modality, Factor]) -> Array:
        """Learn latent semantics V (n, r) of the new items; updates U and W_m."""
        assert self.u_ is not None
        one = np.eye(self.bits)
        for _ in range(self.iterations):
            target = self.beta * dot(g, self.u_.T)
            for m, weight in self._weights.items():
                target += weight * dot(x[m], self.w_[m])
            pull = self.beta * dot(self.u_, self.u_.T) + (self.lambda1 + self.lambda2 + self.gamma) * one
            v: Array = solve(pull, target.T, assume_a="pos").T
            seen = self.vv_ + dot(v.T, v) + self.gamma / self.beta * one
            self.u_ = solve(seen, self.vg_ + dot(v.T, g), assume_a="pos")
            for m in MODALITIES:
                self.w_[m] = factors[m].solve(self.cross_[m] + dot(x[m].T, v))
        return v

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        w = self.w_[modality]
        shift = np.asarray(self.mean_[modality].mean) @ w + self.latent_mean_.mean
        return linear_outputs(batch.features, w, shift)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes
