"""A small random projection."""

from bench.api import Batch, Chunk, Codes, Method, Modality, sign


class Halves(Method):
    """Signs of fixed random projections."""

    scale: float = 1.0

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round == 0:
            self.w_ = {
                m: self.rng.standard_normal((chunk.batch(m).features.shape[1], self.bits))
                for m in ("image", "text")
            }

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.scale * batch.features @ self.w_[modality])
