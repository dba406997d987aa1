"""CCA: canonical correlation analysis of all pairs seen, refitted from scratch; an offline reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, qr, svd

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param
from bench.methods._online import Array, RunningGram, RunningMean, blocks, dot, linear_codes

_RANK = 1e-10  # share of the largest eigenvalue below which a direction has no variance


class CCA(Method):
    """The sign of the canonical variates, the most correlated first; unsupervised.

    Features are standardised with the training items; a constant column gets weight 0. With
    more bits than the k directions that both modalities have, the variates, each times the root
    of its correlation, are projected on ``bits`` directions: the columns of a random (k, bits)
    matrix with orthonormal rows. So weighted they are the posterior mean of the latent variable
    in probabilistic CCA (Bach and Jordan 2005), and the projection keeps their inner products.
    """

    ridge: float = param(1e-2, "added to the unit variance of the standardised features", least=0)

    capabilities = Capabilities(offline=True)
    source = Source(
        paper="H. Hotelling. Relations between two sets of variates. Biometrika 28 (1936) 321-377"
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        x = {m: chunk.batch(m).features for m in MODALITIES}
        self.mean_ = {m: RunningMean().add(v) for m, v in x.items()}
        scale = {m: _inverse_deviation(v, self.mean_[m]) for m, v in x.items()}
        grams, cross = _correlations(x, self.mean_, scale)
        whiten = {m: self._whitening(gram) for m, gram in grams.items()}
        shared = dot(dot(whiten["image"].T, cross), whiten["text"])
        left, self.correlations_, right = svd(shared, full_matrices=False, lapack_driver="gesvd")
        live = min(int(whiten[m].any(axis=0).sum()) for m in MODALITIES)
        mix = self._mix(self.correlations_[:live])
        variates: dict[Modality, Array] = {"image": left, "text": right.T}
        self.w_ = {
            m: scale[m][:, None] * dot(whiten[m], dot(v[:, : len(mix)], mix)) for m, v in variates.items()
        }

    def _whitening(self, gram: Array) -> Array:
        """The (d, d) map to uncorrelated directions; a direction without variance becomes a zero column."""
        values, vectors = eigh(gram, lower=True)
        alive = values > _RANK * max(values[-1], 0.0)
        return vectors * np.where(alive, 1 / np.sqrt(np.where(alive, values + self.ridge, 1.0)), 0.0)

    def _mix(self, correlations: Array) -> Array:
        """The (k, bits) matrix that takes k variates to the values whose signs are the code."""
        k = len(correlations)
        if self.bits <= k:
            return np.eye(k, self.bits)
        frame, _ = qr(self.rng.standard_normal((self.bits, k)), mode="economic")
        return np.sqrt(correlations)[:, None] * frame.T

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        w = self.w_[modality]
        return linear_codes(batch.features, w, self.mean_[modality] @ w)


def _inverse_deviation(x: npt.NDArray[np.float32], mean: Array) -> Array:
    """One over the standard deviation of every column, and 0 for a constant one."""
    squares = sum(np.square(rows - mean).sum(axis=0) for (rows,) in blocks(x))
    deviation = np.sqrt(squares / len(x))
    return np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1.0), 0.0)


def _correlations(
    x: dict[Modality, npt.NDArray[np.float32]], mean: dict[Modality, Array], scale: dict[Modality, Array]
) -> tuple[dict[Modality, Array], Array]:
    """Correlation matrices within each modality (lower triangles), and between image and text."""
    grams = {m: RunningGram() for m in MODALITIES}
    cross: Array | float = 0.0
    for rows in blocks(x["image"], x["text"]):
        z = {m: (v - mean[m]) * scale[m] for m, v in zip(MODALITIES, rows, strict=True)}
        for m in MODALITIES:
            grams[m].add(z[m])
        cross = cross + dot(z["image"].T, z["text"])
    return {m: np.asarray(g.gram) / g.n for m, g in grams.items()}, np.asarray(cross) / len(x["image"])
