"""OCMH: permanent latent codes and dynamic transfer matrices; our reconstruction without the equations."""

from __future__ import annotations

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._factorisation import PerModality, centre, solve_right
from bench.methods._online import Array, RunningMean, RunningRidge, dot, linear_codes, linear_outputs


class OCMH(Method):
    """Keep a permanent latent code V per item; a small matrix per modality maps all V to current codes.

    Our reconstruction; uses no labels. For new items with features X_m, centred by the running mean, and
    a = (weight, 1 - weight), it lowers, with old V frozen,

        Σ_m a_m ‖X_m - V U_mᵀ‖² + gamma (‖V‖² + Σ_m a_m ‖U_m‖²)

    by ridge solutions for V and U_m in turn, with sums over old rounds for U_m. The hash functions W_m are
    the ridge regression of all V on all X_m. The transfer matrix T_m is the ridge regression of the
    projections X_m W_m of all items on their V, also from sums: replacing T_m re-hashes the database.

    A query gets the code sign(x W_m), a database item the sign of V T_m minus the mean of all V T_m. An
    item's two modalities have different database codes.
    """

    weight: float = param(0.5, "weight of the image factorisation; text: 1 - weight", above=0, most=0.99)
    gamma: float = param(1.0, "ridge penalty; 1 suits features of unit scale, so tune it", above=0)
    iterations: int = param(20, "alternating updates per chunk", least=1)

    capabilities = Capabilities(learned_codes=True)
    source = Source(
        paper="L. Xie, J. Shen, L. Zhu. Online Cross-Modal Hashing for Web Image Retrieval. AAAI 2016",
        fidelity="reconstruction",
        note="Neither code nor equations were available. From the abstract: codes combine a permanent latent "
        "code, shared by the modalities, with a dynamic transfer matrix; updating codes means updating that "
        "matrix. Objective, updates and defaults are ours; gamma was chosen from 0.01 and 1 on Wiki's "
        "queries.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mean_: dict[Modality, RunningMean] = {m: RunningMean() for m in MODALITIES}
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.u_: PerModality = {}  # bases, (d, r)
        self.w_: PerModality = {}  # hash functions, (d, r)
        self.transfer_: PerModality = {}  # T_m, (r, r)
        self.vv_ = np.zeros((self.bits, self.bits))  # Σ VᵀV
        self.latent_mean_ = RunningMean()  # mean of V, (r,)
        self.latents_: list[Array] = []  # V of every chunk, (n_t, r), in order of arrival

    @property
    def _weights(self) -> dict[Modality, float]:
        return {"image": self.weight, "text": 1 - self.weight}

    def fit_chunk(self, chunk: Chunk) -> None:
        x = centre(chunk, self.mean_)
        if not self.u_:
            self.u_ = {m: self.rng.standard_normal((x[m].shape[1], self.bits)) for m in MODALITIES}
        v = self._learn(x)
        self.latents_.append(v)
        self.latent_mean_.add(v)
        self.vv_ = self.vv_ + dot(v.T, v)
        for m in MODALITIES:
            self.hash_[m].add(x[m], v, chunk.shared, m)
            self.w_[m] = self.hash_[m].solve(self.gamma, chunk.shared, m)
            projected = dot(self.w_[m].T, np.asarray(self.hash_[m].cross))  # Σ (X_m W_m)ᵀV
            self.transfer_[m] = solve_right(projected, self.vv_, self.gamma).T

    def _learn(self, x: PerModality) -> Array:
        """Learn V (n, r) of the new items; updates U_m."""
        for _ in range(self.iterations):
            pull, target = np.zeros((self.bits, self.bits)), np.zeros((1, self.bits))
            for m, weight in self._weights.items():
                pull += weight * dot(self.u_[m].T, self.u_[m])
                target = target + weight * dot(x[m], self.u_[m])
            v = solve_right(target, pull, self.gamma)
            seen = self.vv_ + dot(v.T, v)
            for m in MODALITIES:
                cross = self.hash_[m].cross + dot(x[m].T, v)
                self.u_[m] = solve_right(cross, seen, self.gamma)
        return v

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        w = self.w_[modality]
        return linear_outputs(batch.features, w, np.asarray(self.mean_[modality].mean) @ w)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._database(self.latents_[-1], modality)

    def update_database(self, modality: Modality) -> Codes:
        return np.concatenate([self._database(v, modality) for v in self.latents_])

    def _database(self, v: Array, modality: Modality) -> Codes:
        transfer = self.transfer_[modality]
        return linear_codes(v, transfer, np.asarray(self.latent_mean_.mean) @ transfer)
