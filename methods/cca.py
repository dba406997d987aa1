"""CCA: canonical correlation analysis of all pairs so far, refitted every time; an offline baseline."""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._linear import correlations, frame, inverse_deviation, whitening
from bench.methods._online import Array, RunningMean, dot, linear_outputs


class CCA(Method):
    """Hash by the signs of the canonical variates, most correlated first; unsupervised.

    Features are standardised on the training items; constant columns get weight 0. If there are more bits
    than the k directions shared by both modalities, the variates, each times the square root of its
    correlation, are spread over all bits by a random (k, bits) matrix with orthonormal rows. With these
    weights they are the posterior mean of the latent variable in probabilistic CCA (Bach and Jordan 2005),
    and the projection preserves their inner products.
    """

    ridge: float = param(1e-2, "added to the unit variance of the standardised features", least=0)

    capabilities = Capabilities(offline=True)
    source = Source(
        paper="H. Hotelling. Relations between two sets of variates. Biometrika 28 (1936) 321-377"
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        x = {m: chunk.batch(m).features for m in MODALITIES}
        self.mean_ = {m: RunningMean().add(v) for m, v in x.items()}
        scale = {m: inverse_deviation(v, self.mean_[m]) for m, v in x.items()}
        grams, cross = correlations(x, self.mean_, scale)
        whiten = {m: whitening(gram, self.ridge) for m, gram in grams.items()}
        shared = dot(dot(whiten["image"].T, cross), whiten["text"])
        left, self.correlations_, right = svd(shared, full_matrices=False, lapack_driver="gesvd")
        live = min(int(whiten[m].any(axis=0).sum()) for m in MODALITIES)
        mix = self._mix(self.correlations_[:live])
        variates: dict[Modality, Array] = {"image": left, "text": right.T}
        self.w_: dict[Modality, Array] = {
            m: scale[m][:, None] * dot(whiten[m], dot(v[:, : len(mix)], mix)) for m, v in variates.items()
        }

    def _mix(self, correlations: Array) -> Array:
        """Return the (k, bits) matrix that maps k variates to the values whose signs are the code."""
        k = len(correlations)
        if self.bits <= k:
            return np.eye(k, self.bits)
        return np.sqrt(correlations)[:, None] * frame(k, self.bits, self.rng)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        w = self.w_[modality]
        return linear_outputs(batch.features, w, self.mean_[modality] @ w)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))
