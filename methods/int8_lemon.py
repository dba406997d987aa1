"""int8 embeddings: a byte for each principal component of the outputs of LEMON's hash functions."""

from __future__ import annotations

import numpy as np

from bench.methods._online import Array
from bench.methods._quantisers import OfOutputs, Part, combination, quantised
from bench.methods.int8_clip import Int8Clip, Scalar
from bench.methods.lemon import LEMON


class Int8Lemon(OfOutputs, LEMON):
    """int8 embeddings from outputs of LEMON, scaled to length 1; learns chunk by chunk as LEMON does."""

    capabilities = quantised(LEMON, Int8Clip)
    source = combination(LEMON, Int8Clip)

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Scalar.of(x, self.bits)
