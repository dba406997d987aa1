"""A method that runs under every axis and keeps what it was shown."""

from __future__ import annotations

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Split, sign

CHUNKS: list[Chunk] = []
POOLS: list[Split] = []


class TakesAll(Method):
    """Codes are the signs of the first features; learned codes are the same."""

    capabilities = Capabilities(
        supervised=True, label_free=True, partial=True, pool=True, learned_codes=True, class_names=True
    )

    def fit_pool(self, pool: Split) -> None:
        POOLS.append(pool)

    def fit_chunk(self, chunk: Chunk) -> None:
        CHUNKS.append(chunk)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, np.arange(self.bits) % batch.features.shape[1]])

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        assert modality in MODALITIES
        return self.encode(chunk.batch(modality), modality)
