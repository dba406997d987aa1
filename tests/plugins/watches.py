"""A method that remembers which items it was shown, and knows their learned codes by heart."""

from __future__ import annotations

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Split, sign

SHOWN: list[tuple[str, tuple[int, ...]]] = []  # where, and the ids of the items


class Watches(Method):
    """Codes of the first features; learned codes are all +1."""

    capabilities = Capabilities(supervised=True, learned_codes=True, pool=True, views=("clip",))

    def fit_pool(self, pool: Split) -> None:
        SHOWN.append(("pool", tuple(map(int, pool.ids))))

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None and len(chunk.labels) == len(chunk)
        SHOWN.append(("chunk", tuple(map(int, chunk.ids))))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        assert not batch.views
        return sign(batch.features[:, [i % batch.features.shape[1] for i in range(self.bits)]])

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return np.ones((len(chunk), self.bits), dtype=np.int8)
