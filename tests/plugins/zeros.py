"""Returns zeros."""

import numpy as np

from bench.api import Batch, Chunk, Codes, Method, Modality


class Zeros(Method):
    """Returns zeros."""

    def fit_chunk(self, chunk: Chunk) -> None:
        self.n_ = len(chunk)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return np.zeros((len(batch), self.bits), dtype=np.int8)
