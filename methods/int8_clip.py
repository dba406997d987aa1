"""int8 embeddings: a byte for each principal component of CLIP features; a rival at equal bits.

The trap: every query costs a pass through CLIP, as with clip_hash.
"""

from __future__ import annotations

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Features, Modality, Source
from bench.methods._linear import leading
from bench.methods._online import Array, dot
from bench.methods._quantisers import Quantiser, code


class Int8Clip(Quantiser):
    """Keep a byte for each of the ⌈bits / 8⌉ leading principal components; rank by dot product. Unsupervised.

    A byte divides the range that its component has in training into 255 steps. Where ``bits`` are no multiple
    of 8, the last component has fewer. Features are scaled to length 1 and centred per modality.
    """

    capabilities = Capabilities(offline=True, encodes="clip", distance="codebook")
    source = Source(
        note="Scalar quantisation of embeddings to int8, as libraries for embeddings have it, with "
        "float32 queries. Those keep all dimensions; here principal components come first, so that a code "
        "has as many bits as the run sets. Bits beyond 8 for every dimension stay empty."
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        x = self._see(chunk)
        self.w_ = leading(dot(x.T, x), -(-self.bits // 8))
        values = dot(x, self.w_)
        self.least_, self.most_ = values.min(axis=0), values.max(axis=0)

    def _values(self, batch: Batch, modality: Modality) -> Array:
        return dot(self._vectors(batch, modality), self.w_)

    def _levels(self) -> Array:
        """The number of values of each byte."""
        return 2.0 ** np.minimum(8, self.bits - 8 * np.arange(-(-self.bits // 8)))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        values, last = self._values(batch, modality), self._levels()[: len(self.least_)] - 1
        wide = self.most_ - self.least_
        share = np.clip((values - self.least_) / np.where(wide > 0, wide, 1.0), 0, 1)
        octets = np.zeros((len(batch), -(-self.bits // 8)), dtype=np.uint8)
        octets[:, : values.shape[1]] = np.rint(share * last) * (256 // (last + 1))
        return code(octets, self.bits)

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        """Minus the product of the query's component and the value that a byte stands for."""
        values, levels = self._values(batch, modality), self._levels()
        tables = np.zeros((len(batch), len(levels), 256), dtype=np.float32)
        for j, (least, most) in enumerate(zip(self.least_, self.most_, strict=True)):
            steps = np.arange(256) // (256 // levels[j]) / (levels[j] - 1)
            tables[:, j] = -values[:, j, None] * (least + steps * (most - least))
        return tables
