"""RaBitQ, re-implemented, on the outputs of LEMON's hash functions."""

from __future__ import annotations

import numpy as np

from bench.methods._online import Array
from bench.methods._quantisers import OfOutputs, Part, combination, quantised
from bench.methods.lemon import LEMON
from bench.methods.rabitq import RaBitQ, Signs


class RaBitQLemon(OfOutputs, LEMON):
    """RaBitQ of the real-valued outputs of LEMON, scaled to length 1; learns chunk by chunk as LEMON does."""

    capabilities = quantised(LEMON, RaBitQ)
    source = combination(LEMON, RaBitQ)

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Signs.of(x, self.bits, rng)
