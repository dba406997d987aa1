"""OCEAN: online semantic embedding with learned correlations between labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.linalg import solve

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
from bench.methods._anchors import Anchors, anchor_features, fit_anchors, too_few
from bench.methods._codes import ABSOLUTE, AS_AUTHORS, TOLERANCE, balanced_orthogonal, normalise_labels, signs
from bench.methods._online import Array, Factor, RunningGram, dot


class Sums(State):
    """Running sums over all items so far, with codes B and embedding V.

    With r bits and c classes: ll and lvu (c, c), vv (r, r), vlc (r, c), gb and gv (c, r). C and U in
    lvu = LᵀVU and vlc = VᵀLC are those of the round in which the items arrived.
    """

    ll: Array
    lvu: Array
    vv: Array
    vlc: Array
    gb: Array
    gv: Array

    @classmethod
    def zero(cls, r: int, c: int) -> Sums:
        shapes = [(c, c), (c, c), (r, r), (r, c), (c, r), (c, r)]
        return cls(*(np.zeros(shape) for shape in shapes))

    def plus(self, labels: Array, g: Array, b: Array, v: Array, c: Array, u: Array) -> Sums:
        """Return the sums including one chunk: labels and g (n, c), b and v (n, r)."""
        return Sums(
            ll=self.ll + dot(labels.T, labels),
            lvu=self.lvu + dot(dot(labels.T, v), u),
            vv=self.vv + dot(v.T, v),
            vlc=self.vlc + dot(dot(v.T, labels), c),
            gb=self.gb + dot(g.T, b),
            gv=self.gv + dot(g.T, v),
        )


class OCEAN(Method):
    """Learn codes that follow label similarity, label correlations and, weakly, the features.

    For new items with labels L, and S = GGᵀ between them and all items so far, it lowers

        mu ‖V Bᵀ - r S‖² + beta ‖L C - V U‖² + alpha ‖L C - L‖² + delta (‖C‖² + ‖U‖²)
            + theta Σ_m ‖B - X_m P_m‖² + delta Σ_m ‖P_m‖² + ‖B - V‖²

    over codes B, an embedding V with VᵀV = nI and Vᵀ1 = 0, label correlations C (c, c), U (r, c) and P_m.
    Then it fits one ridge regression of B on X_m per modality, with penalty xi, over all rounds. X_m are
    centred RBF similarities to items of the first chunk.
    """

    anchors: int = param(
        1500, "anchors of the RBF features, from the first chunk; 0: centred raw features", least=0
    )
    theta: float = param(0.5, "weight of the features in the codes", above=0)
    alpha: float = param(1e4, "pull of the correlated labels towards the given ones", above=0)
    beta: float = param(1.0, "weight of the embedding of correlated labels", above=0)
    mu: float = param(1e5, "weight of the pairwise label similarity", above=0)
    delta: float = param(0.1, "ridge penalty of C, U and P", above=0)
    xi: float = param(1.0, "ridge penalty of the hash functions", above=0)
    iterations: int = param(5, "alternating updates per chunk", least=1)
    tolerance: float = TOLERANCE
    absolute: bool = ABSOLUTE

    capabilities = Capabilities(supervised=True, learned_codes=True)
    presets = AS_AUTHORS
    source = Source(
        paper="F. Yang, H. Hu, F. Ma, X. Ding, Q. Zhang, X. Liu. Online semantic embedding correlation for "
        "discrete cross-media hashing. Manuscript, 2025",
        fidelity="authors' algorithm",
        note="Follows the released code, github.com/nufehash/OCEAN, commits 68cbf61 and 70aecd9, which we "
        "read but never ran. Differs: the update of U weighs its target by beta, as the objective requires "
        "(the code does not; equal at its beta of 1); the weight omega of the first round, which the code "
        "never sets, is 1; dead directions as in LEMON (preset=authors: absolute tolerance); zeros hash to "
        "+1; anchors, kernel width and centring come from the first chunk (all of it, if smaller), where "
        "theirs come from all data; both modalities share the anchors. Unknown: what the paper says.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.maps_: dict[Modality, Anchors] = {}
        self.sums_: Sums | None = None
        self.gram_: dict[Modality, RunningGram] = {m: RunningGram() for m in MODALITIES}
        self.cross_: dict[Modality, Array] = {}  # Σ XᵀB, (k, r)
        self.w_: dict[Modality, Array] = {}  # hash functions, (k, r)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labels, g = chunk.labels.astype(np.float64), normalise_labels(chunk.labels)
        if not self.maps_:
            self.maps_ = fit_anchors(chunk, self.anchors, self.rng)
        x, coupling = anchor_features(chunk, self.maps_), {}
        for m in MODALITIES:
            self.gram_[m] = chunk.shared.once(("gram", m), partial(self.gram_[m].add, x[m]))
            coupling[m] = self._factor(chunk, m, self.delta / self.theta)
            self.cross_.setdefault(m, np.zeros((x[m].shape[1], self.bits)))
        b = self._learn(labels, g, x, coupling)
        self._codes = b.astype(np.int8)
        for m in MODALITIES:
            self.cross_[m] = self.cross_[m] + dot(x[m].T, b)
            self.w_[m] = self._factor(chunk, m, self.xi).solve(self.cross_[m])

    def _factor(self, chunk: Chunk, m: Modality, penalty: float) -> Factor:
        return chunk.shared.once(("factor", m, penalty), partial(self.gram_[m].factor, penalty))

    def _learn(
        self, labels: Array, g: Array, x: Mapping[Modality, Array], coupling: Mapping[Modality, Factor]
    ) -> Array:
        """Learn the codes B (n, r) of the new items; updates the sums."""
        (n, classes), r = labels.shape, self.bits
        old = self.sums_ or Sums.zero(r, classes)
        ll, similar = old.ll + dot(labels.T, labels), self.mu * r * g
        b = signs(self.rng.standard_normal((n, r)))
        v = self.rng.standard_normal((n, r))
        c = self.rng.standard_normal((classes, classes))
        u = self._embedding(old, labels, v, c)
        for _ in range(self.iterations):
            drawn = np.zeros((n, r))
            for m in MODALITIES:
                p = coupling[m].solve(self.cross_[m] + dot(x[m].T, b))
                drawn += self.theta * dot(x[m], p)
            ridge = (self.beta + self.alpha) * ll + self.delta * np.eye(classes)
            target = self.beta * (old.lvu + dot(dot(labels.T, v), u)) + self.alpha * ll
            c = solve(ridge, target, assume_a="pos")
            u = self._embedding(old, labels, v, c)
            z = b + self.beta * dot(labels, dot(c, u.T)) + dot(similar, old.gb + dot(g.T, b))
            v = balanced_orthogonal(z, self.rng, tolerance=self.tolerance, absolute=self.absolute)
            b = signs(drawn + v + dot(similar, old.gv + dot(g.T, v)))
        self.sums_ = old.plus(labels, g, b, v, c, u)
        return b

    def _embedding(self, old: Sums, labels: Array, v: Array, c: Array) -> Array:
        """Solve for U (r, c), which maps the embedding V to the correlated labels L C."""
        ridge = self.beta * (old.vv + dot(v.T, v)) + self.delta * np.eye(self.bits)
        return solve(ridge, self.beta * (old.vlc + dot(dot(v.T, labels), c)), assume_a="pos")

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return self.maps_[modality].outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes

    def notes(self) -> list[str]:
        return too_few(self.maps_, self.anchors)
