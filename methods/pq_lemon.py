"""Product quantisation of the outputs of LEMON's hash functions."""

from __future__ import annotations

from bench.methods._quantisers import OfOutputs, combination, quantised
from bench.methods.lemon import LEMON
from bench.methods.pq import PQ


class PQLemon(OfOutputs, PQ):
    """PQ of the outputs of LEMON, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LEMON
    capabilities = quantised(LEMON, PQ)
    source = combination(LEMON, PQ)
