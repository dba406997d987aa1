"""Optimised product quantisation of the real-valued outputs of LEMON's hash functions."""

from __future__ import annotations

from bench.api import Source
from bench.methods._quantisers import OfOutputs, quantised
from bench.methods.lemon import LEMON
from bench.methods.opq import OPQ


class OPQLemon(OfOutputs, OPQ):
    """OPQ of the outputs of LEMON, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LEMON
    capabilities = quantised(LEMON, OPQ)
    source = Source(
        paper=OPQ.source.paper,
        fidelity="new",
        note="OPQ is applied to the outputs of LEMON; the combination is ours, a rival at equal bits.",
    )
