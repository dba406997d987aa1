"""int8 embeddings: a byte for each principal component of CLIP features; a rival at equal bits.

The trap: every query costs a pass through CLIP, as with clip_hash.
"""

from __future__ import annotations

import numpy as np

from bench.api import Capabilities, Codes, Features, Source
from bench.methods._linear import leading
from bench.methods._online import Array, dot
from bench.methods._quantisers import Part, Quantiser, code


class Scalar(Part):
    """A byte for each component, over the range that it has in training."""

    bits: int
    w: Array  # (d, components)
    least: Array
    most: Array

    @classmethod
    def of(cls, x: Array, bits: int) -> Scalar:
        w = leading(dot(x.T, x), -(-bits // 8))
        values = dot(x, w)
        return cls(bits=bits, w=w, least=values.min(axis=0), most=values.max(axis=0))

    def _levels(self) -> Array:
        """The number of values of each byte."""
        return 2.0 ** np.minimum(8, self.bits - 8 * np.arange(-(-self.bits // 8)))

    def codes(self, vectors: Array) -> Codes:
        values, last = dot(vectors, self.w), self._levels()[: len(self.least)] - 1
        wide = self.most - self.least
        share = np.clip((values - self.least) / np.where(wide > 0, wide, 1.0), 0, 1)
        octets = np.zeros((len(vectors), -(-self.bits // 8)), dtype=np.uint8)
        octets[:, : values.shape[1]] = np.rint(share * last) * (256 // (last + 1))
        return code(octets, self.bits)

    def numbers(self, vectors: Array) -> Features:
        """Minus the product of the query's component and the value that a byte stands for."""
        values, levels = dot(vectors, self.w), self._levels()
        tables = np.zeros((len(vectors), len(levels), 256), dtype=np.float32)
        for j, (least, most) in enumerate(zip(self.least, self.most, strict=True)):
            steps = np.arange(256) // (256 // levels[j]) / (levels[j] - 1)
            tables[:, j] = -values[:, j, None] * (least + steps * (most - least))
        return tables


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

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Scalar.of(x, self.bits)
