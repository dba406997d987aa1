"""Product quantisation of the outputs of LCDH's hash functions."""

from __future__ import annotations

import numpy as np

from bench.methods._online import Array
from bench.methods._quantisers import OfOutputs, Part, combination, quantised
from bench.methods.lcdh import LCDH
from bench.methods.pq import PQ, Codebook


class PQLcdh(OfOutputs, LCDH):
    """PQ of the real-valued outputs of LCDH, scaled to length 1; learns chunk by chunk as LCDH does."""

    capabilities = quantised(LCDH, PQ)
    source = combination(LCDH, PQ)

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Codebook.of(x, self.bits, rng)
