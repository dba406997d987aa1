"""Aligned directions: online partial least squares, then a random rotation into bits."""

import numpy as np
from scipy import linalg

from bench.api import MODALITIES, Batch, Chunk, Codes, Method, Modality, Source, param, sign


class AlignedDirections(Method):
    """Hash along the directions in which image and text features vary together; reads no labels."""

    share: float = param(0.5, "directions kept, as a share of the narrower modality's width", above=0, most=1)
    source = Source(note="partial least squares by SVD of the cross-covariance, randomly rotated")

    def fit_chunk(self, chunk: Chunk) -> None:
        x, y = (chunk.batch(m).features.astype(np.float64) for m in MODALITIES)
        kept = max(1, int(self.share * min(x.shape[1], y.shape[1])))
        if chunk.round == 0:
            self.count_, self.sum_ = 0, {"image": np.zeros(x.shape[1]), "text": np.zeros(y.shape[1])}
            self.product_ = np.zeros((x.shape[1], y.shape[1]))
            self.rotation_ = self.rng.standard_normal((kept, self.bits))
        self.count_ += len(chunk)
        self.sum_ = {"image": self.sum_["image"] + x.sum(axis=0), "text": self.sum_["text"] + y.sum(axis=0)}
        self.product_ += x.T @ y
        self.mean_ = {m: self.sum_[m] / self.count_ for m in MODALITIES}
        covariance = self.product_ / self.count_ - np.outer(self.mean_["image"], self.mean_["text"])
        left, _, right = linalg.svd(covariance, full_matrices=False)
        self.w_ = {"image": left[:, :kept] @ self.rotation_, "text": right[:kept].T @ self.rotation_}

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign((batch.features - self.mean_[modality]) @ self.w_[modality])
