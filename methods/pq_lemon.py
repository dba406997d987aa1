"""Product quantisation of the outputs of LEMON's hash functions."""

from __future__ import annotations

import numpy as np

from bench.methods._online import Array
from bench.methods._quantisers import OfOutputs, Part, combination, quantised
from bench.methods.lemon import LEMON
from bench.methods.pq import PQ, Codebook


class PQLemon(OfOutputs, LEMON):
    """PQ of the real-valued outputs of LEMON, scaled to length 1; learns chunk by chunk as LEMON does."""

    capabilities = quantised(LEMON, PQ)
    source = combination(LEMON, PQ)

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Codebook.of(x, self.bits, rng)
