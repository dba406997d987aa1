"""Raises in its second round."""

from bench.api import Chunk
from bench.methods.random_projection import RandomProjection as _Base


class Breaks(_Base):
    """Raises in its second round."""

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round:
            raise RuntimeError("no more\nthan one")
        super().fit_chunk(chunk)
