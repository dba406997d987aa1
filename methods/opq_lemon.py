"""Optimised product quantisation of the outputs of LEMON's hash functions."""

from __future__ import annotations

from bench.methods._quantisers import OfOutputs, combination, quantised
from bench.methods.lemon import LEMON
from bench.methods.opq import OPQ


class OPQLemon(OfOutputs, OPQ):
    """OPQ of the outputs of LEMON, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LEMON
    capabilities = quantised(LEMON, OPQ)
    source = combination(LEMON, OPQ)
