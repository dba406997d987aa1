"""Random Gaussian projections: the baseline that every learned method must beat."""

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Batch, Chunk, Codes, Method, Modality, Source, sign


class RandomProjection(Method):
    """Hash by the signs of a random projection of the features, centred by the mean of round 0."""

    source = Source(paper="M. Charikar. Similarity estimation techniques from rounding algorithms. STOC 2002")

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round == 0:  # nothing is learned after the first round
            x = {m: chunk.batch(m).features for m in MODALITIES}
            self.mean_ = {m: v.mean(axis=0, dtype=np.float64) for m, v in x.items()}
            self.w_ = {m: self.rng.standard_normal((v.shape[1], self.bits)) for m, v in x.items()}

    def outputs(self, batch: Batch, modality: Modality) -> npt.NDArray[np.float64]:
        return (batch.features - self.mean_[modality]) @ self.w_[modality]

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))
