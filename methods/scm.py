"""SCM: semantic correlation maximisation, bit by bit (SCM-Seq); a classical supervised offline baseline."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._codes import normalise_labels
from bench.methods._linear import inverse_deviation, whitening
from bench.methods._online import Array, RunningMean, dot, linear_outputs


class SCM(Method):
    """Learn linear codes whose inner products reconstruct label similarity, bit by bit.

    For standardised features X, Y, normalised labels G and r bits, it lowers

        ‖sgn(X A) sgn(Y B)ᵀ - r S‖²,  S = 2GGᵀ - 11ᵀ.

    Bit t is the pair a, b that maximises aᵀXᵀR_t Y b subject to aᵀXᵀX a = bᵀYᵀY b = n, with the residual
    R_t = r S - Σ_{k<t} sgn(X a_k) sgn(Y b_k)ᵀ of the earlier bits: the leading singular vectors of the
    whitened XᵀR_t Y. Neither S nor R_t is formed. Unlabelled items are skipped.
    """

    ridge: float = param(1e-2, "added to the unit variance of the standardised features", least=0)

    capabilities = Capabilities(supervised=True, offline=True)
    source = Source(
        paper="D. Zhang, W.-J. Li. Large-scale supervised multimodal hashing with semantic correlation "
        "maximization. AAAI 2014, 2177-2183",
        fidelity="adaptation",
        note="The sequential algorithm, with equations from memory of the paper, not checked against its "
        "code. Standardising and the ridge are ours. Checked against a version that forms S.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labelled = chunk.labels.any(axis=1)
        x = {
            m: chunk.batch(m).features[labelled] if labelled.any() else chunk.batch(m).features
            for m in MODALITIES
        }
        self.mean_ = {m: RunningMean().add(v) for m, v in x.items()}
        scale = {m: inverse_deviation(v, self.mean_[m]) for m, v in x.items()}
        z = {m: (v - self.mean_[m]) * scale[m] for m, v in x.items()}
        turn = {m: whitening(dot(v.T, v) / len(v), self.ridge) for m, v in z.items()}
        white = {m: dot(z[m], turn[m]) for m in MODALITIES}
        directions = self._bits(white["image"], white["text"], normalise_labels(chunk.labels[labelled]))
        self.w_ = {m: scale[m][:, None] * dot(turn[m], directions[m]) for m in MODALITIES}

    def _bits(self, x: Array, y: Array, g: Array) -> dict[Modality, Array]:
        """Find directions (d, bits) in the whitened features x (n, d) and y (n, d'), one bit at a time."""
        left, right = np.zeros((x.shape[1], self.bits)), np.zeros((y.shape[1], self.bits))
        if len(g):  # whitened features have mean 0, so the 11ᵀ of S adds nothing
            residue = 2 * self.bits * dot(dot(x.T, g), dot(y.T, g).T)
            for k in range(self.bits):
                a, b = _leading(residue)
                left[:, k], right[:, k] = a, b
                residue -= np.outer(dot(x.T, _signs(x, a)), dot(y.T, _signs(y, b)))
        return {"image": left, "text": right}

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        w = self.w_[modality]
        return linear_outputs(batch.features, w, self.mean_[modality] @ w)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))


def _leading(matrix: Array) -> tuple[Array, Array]:
    """Return the singular vectors of the largest singular value, from the smaller Gram matrix."""
    if matrix.shape[0] > matrix.shape[1]:
        b, a = _leading(matrix.T)
        return a, b
    last = len(matrix) - 1
    a = eigh(dot(matrix, matrix.T), subset_by_index=(last, last))[1][:, 0]
    b = matrix.T @ a
    return a, b / max(float(np.linalg.norm(b)), np.finfo(float).tiny)


def _signs(x: Array, direction: Array) -> Array:
    """Return the bit (n, 1) that a direction gives each row."""
    return sign(dot(x, direction[:, None])).astype(np.float64)
