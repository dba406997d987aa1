"""Optimised product quantisation of the real-valued outputs of LCDH's hash functions."""

from __future__ import annotations

from bench.api import Source
from bench.methods._quantisers import OfOutputs, quantised
from bench.methods.lcdh import LCDH
from bench.methods.opq import OPQ


class OPQLcdh(OfOutputs, OPQ):
    """OPQ of the outputs of LCDH, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LCDH
    capabilities = quantised(LCDH, OPQ)
    source = Source(
        paper=OPQ.source.paper,
        fidelity="new",
        note="OPQ is applied to the outputs of LCDH; the combination is ours, a rival at equal bits.",
    )
