"""A projection that takes its time, so that a sweep can be killed in the middle."""

import os
import time

from bench.api import Batch, Chunk, Codes, Method, Modality, sign


class Slow(Method):
    """Signs of fixed random projections, after a short sleep, or never where HELD is set."""

    def fit_chunk(self, chunk: Chunk) -> None:
        time.sleep(0.05)
        while os.environ.get("HELD"):
            time.sleep(0.05)
        if chunk.round == 0:
            self.w_ = {
                m: self.rng.standard_normal((chunk.batch(m).features.shape[1], self.bits))
                for m in ("image", "text")
            }

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality])
