"""DOCMH: discrete online cross-modal hashing with consistency preservation; labels embedded in features.

The trap: the label embedding has one column per feature of both modalities, and each round diagonalises a
square matrix of that size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.linalg import eigh, svd

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Source,
    State,
    param,
    sign,
)
from bench.methods._codes import balanced_orthogonal, procrustes, signs
from bench.methods._online import Array, Factor, RunningGram, dot, linear_outputs

_NEWEST = 0.7  # share of the newest chunk in the threshold of queries


class Autoencoder(State):
    """Embeds labels L (n, c) as Y = L Mᵀ (n, d), where d counts the features X of both modalities.

    M (d, c) minimises ``‖L - X M‖² + eta (‖X - L Mᵀ‖² + gamma ‖M‖²)`` over all rounds. It keeps the sums
    of that problem, and the sum of YᵀY, where every chunk uses the M of its own round.
    """

    xx: RunningGram = field(default_factory=RunningGram)
    xl: Array | float = 0.0  # Σ XᵀL, (d, c)
    ll: Array | float = 0.0  # Σ LᵀL, (c, c)
    yy: RunningGram = field(default_factory=RunningGram)
    m: Array | None = None

    def add(self, x: Mapping[Modality, Array], labels: Array, *, eta: float, gamma: float) -> Self:
        """Add the features (n, d_m) and labels (n, c) of a chunk."""
        both, new = np.hstack([x[m] for m in MODALITIES]), dot(labels.T, labels)
        self.xx.add(both)
        self.xl = self.xl + dot(both.T, labels)
        self.ll = self.ll + new
        # Solve the Sylvester equation XᵀX M + M eta (LᵀL + gamma) = (1 + eta) XᵀL in its eigenbases.
        left, p = self.xx.spectrum()
        right, q = eigh(eta * (self.ll + gamma * np.eye(len(new))))
        free = dot(dot(p.T, (1 + eta) * self.xl), q) / (np.maximum(left, 0)[:, None] + right)
        self.m = dot(dot(p, free), q.T)
        values, vectors = eigh(new)
        self.yy.add(dot(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T, self.m.T))
        return self


class DOCMH(Method):
    """Discrete online hashing of Kang et al.: label similarity is measured in feature space.

    A semantic autoencoder embeds labels L as Y; U is Y with rows of length 1. For new items with features
    X_m, and S = 2UUᵀ - 11ᵀ between them and all items so far, it lowers

        beta ‖r S - V Bᵀ‖² + ‖B - V R‖² + alpha ‖B - Y G‖² + xi Σ_m ‖B - X_m W_m + 1 δ_mᵀ‖²

    plus ridge penalties gamma, over codes B, an embedding V with VᵀV = nI and Vᵀ1 = 0, a rotation R, G and
    the hash functions W_m. The drift δ_m is xi times the mean of X_m W_m - B; its running mean is the
    threshold for queries.
    """

    alpha: float = param(1e-4, "weight of the regression of codes on embedded labels", above=0)
    beta: float = param(10.0, "weight of the pairwise label similarity", above=0)
    eta: float = param(0.1, "weight of the decoder in the semantic autoencoder", above=0)
    gamma: float = param(10.0, "ridge penalty of M, G and the hash functions", above=0)
    xi: float = param(0.5, "pull of the hash functions on the codes", above=0)
    iterations: int = param(5, "alternating updates per chunk", least=1)
    scaled: Literal["items", "code"] = param(
        "items", "items: rows of U have length 1; code: columns of each chunk do, as in the authors' code"
    )
    rotation: Literal["procrustes", "code"] = param(
        "procrustes",
        "procrustes: R is the best rotation; code: as the authors' code, random if classes equal bits",
    )
    hashed: Literal["final", "code"] = param(
        "final",
        "hash functions are fitted to the final codes, or, as in the authors' code, one update before",
    )
    tolerance: float = param(
        1e-12, "a direction is dead if its eigenvalue is below this share of the largest", least=0
    )
    absolute: bool = param(False, "compare eigenvalues with the tolerance itself, as the authors' code does")

    capabilities = Capabilities(supervised=True, learned_codes=True, scaled=True)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {
            "scaled": "code",
            "rotation": "code",
            "hashed": "code",
            "tolerance": 1e-6,
            "absolute": True,
        }
    }
    source = Source(
        paper="X. Kang et al. Discrete online cross-modal hashing with consistency preservation. Pattern "
        "Recognition (2024) 110688",
        fidelity="authors' algorithm",
        note="Follows the released code, github.com/XX-kang/DOCMH. Checked: with preset=authors and its "
        "random draws fixed, the codes of three chunks and of queries agree in every bit. Differs by "
        "default: embedded labels are scaled per item, as a similarity of items requires (it raises T→I "
        "on Wiki by more than 0.03, which a test holds); R is the best rotation, found before the new "
        "codes; the hash functions are fitted to the final codes; a relative tolerance marks dead "
        "directions (preset=authors: all as in the code). Differs always: dead directions are filled "
        "orthogonally to the live ones; zeros hash to +1. As in the code, the hash functions are fitted "
        "to B minus the drift while B is pulled towards X W minus the drift. With preset=authors "
        "rounding decides bits on single labels: 1e-9 on Wiki's features flips 12 % of the learned "
        "ones. Unknown: whether paper and code agree.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder_ = Autoencoder()
        self.yb_: Array | float = 0.0  # Σ YᵀB, (d, r)
        self.uv_: Array | float = 0.0  # Σ UᵀV, (d, r)
        self.cross_: dict[Modality, Array] = {}  # Σ Xᵀ(B - 1 δᵀ), (d_m, r)
        self.w_: dict[Modality, Array] = {}  # hash functions, (d_m, r)
        self.threshold_: dict[Modality, Array] = {}  # (r,)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labels = chunk.labels.astype(np.float64)
        x = {}
        for m in MODALITIES:
            features = chunk.batch(m).features
            x[m] = chunk.shared.once(("wide", m), partial(np.asfortranarray, features, dtype=np.float64))
        add = partial(self.encoder_.add, x, labels, eta=self.eta, gamma=self.gamma)
        self.encoder_ = chunk.shared.once(("encoder", self.eta, self.gamma), add)
        if not self.cross_:
            self.cross_ = {m: np.zeros((x[m].shape[1], self.bits)) for m in MODALITIES}
        self._codes = self._learn(labels, x, self._factors(chunk)).astype(np.int8)

    def _factors(self, chunk: Chunk) -> dict[str, Factor]:
        """Return ridge factors for each modality's features and, under "labels", for the embedded labels."""
        assert self.encoder_.xx.gram is not None, "labels have been embedded"
        width = chunk.image.features.shape[1]
        own = {"image": self.encoder_.xx.gram[:width, :width], "text": self.encoder_.xx.gram[width:, width:]}
        grams = {name: (RunningGram(gram=gram), self.gamma / self.xi) for name, gram in own.items()}
        grams["labels"] = self.encoder_.yy, self.gamma / self.alpha
        return {
            name: chunk.shared.once(("factor", name, penalty), partial(gram.factor, penalty))
            for name, (gram, penalty) in grams.items()
        }

    def _learn(self, labels: Array, x: Mapping[Modality, Array], factors: Mapping[str, Factor]) -> Array:
        """Learn the codes B (n, r) of the new items; updates all sums and the hash functions."""
        n, r = len(labels), self.bits
        assert self.encoder_.m is not None, "labels have been embedded"
        m, (left, right) = self.encoder_.m, self._similarity(labels)  # Y = labels·mᵀ, U = left·rightᵀ
        weight = 2 * self.beta * r
        b, v = signs(self.rng.standard_normal((n, r))), self.rng.standard_normal((n, r))
        rotation = svd(self.rng.standard_normal((r, r)), lapack_driver="gesvd")[0]
        if self.rotation == "code":  # as likely, and what equal draws give there
            rotation = rotation.T
        drift = {k: np.zeros(r) for k in MODALITIES}
        for _ in range(self.iterations):
            g = factors["labels"].solve(self.yb_ + dot(m, dot(labels.T, b)))
            # The -11ᵀ of S is omitted: V is balanced, and centring Z cancels it.
            z = dot(b, rotation.T) + weight * dot(left, dot(right.T, dot(right, dot(left.T, b))))
            v = balanced_orthogonal(z, self.rng, tolerance=self.tolerance, absolute=self.absolute)
            if self.rotation == "procrustes":
                rotation = self._rotate(rotation, dot(b.T, v), classes=labels.shape[1])
            cross = {k: self.cross_[k] + dot(x[k].T, b - drift[k]) for k in MODALITIES}
            w = {k: factors[k].solve(cross[k]) for k in MODALITIES}
            hashed = {k: dot(x[k], w[k]) for k in MODALITIES}
            drift = {k: self.xi * (hashed[k] - b).mean(axis=0) for k in MODALITIES}
            uv = self.uv_ + dot(right, dot(left.T, v))
            b = (
                dot(v, rotation)
                + self.alpha * dot(labels, dot(m.T, g))
                + weight * dot(left, dot(right.T, uv))
            )
            b = signs(b + self.xi * sum(hashed[k] - drift[k] for k in MODALITIES))
            if self.rotation == "code":
                rotation = self._rotate(rotation, dot(b.T, v), classes=labels.shape[1])
        self.yb_ = self.yb_ + dot(m, dot(labels.T, b))
        self.uv_ = uv
        for k in MODALITIES:
            self.cross_[k] = self.cross_[k] + dot(x[k].T, b - drift[k])
            self.w_[k] = w[k] if self.hashed == "code" else factors[k].solve(self.cross_[k])
            self.threshold_[k] = _NEWEST * drift[k] + (1 - _NEWEST) * self.threshold_.get(k, drift[k])
        return b

    def _similarity(self, labels: Array) -> tuple[Array, Array]:
        """Return two factors, (n, c) and (d, c), of U (n, d)."""
        m = self.encoder_.m
        assert m is not None, "labels have been embedded"
        if self.scaled == "items":
            squares = np.einsum("ij,ij->i", labels, dot(labels, dot(m.T, m)))
            return labels / np.sqrt(np.maximum(squares, 1e-14))[:, None], m
        squares = np.einsum("ij,ij->i", m, dot(m, dot(labels.T, labels)))
        return labels, m / np.sqrt(np.maximum(squares, 1e-14))[:, None]

    def _rotate(self, rotation: Array, bv: Array, *, classes: int) -> Array:
        """Return the new R (r, r), from BᵀV (r, r)."""
        if self.rotation == "procrustes":
            return procrustes(bv)
        u, _, vt = svd(bv.T, lapack_driver="gesvd")
        if classes == self.bits:
            return rotation
        return dot(vt, u) if classes < self.bits else dot(vt.T, u.T)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality], self.threshold_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes
