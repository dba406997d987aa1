"""RaBitQ, re-implemented, on the real-valued outputs of LCDH's hash functions."""

from __future__ import annotations

from bench.api import Source
from bench.methods._quantisers import OfOutputs, quantised
from bench.methods.lcdh import LCDH
from bench.methods.rabitq import RaBitQ


class RaBitQLcdh(OfOutputs, RaBitQ):
    """RaBitQ of the outputs of LCDH, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LCDH
    capabilities = quantised(LCDH, RaBitQ)
    source = Source(
        paper=RaBitQ.source.paper,
        fidelity="new",
        note="RaBitQ is applied to the outputs of LCDH; the combination is ours, a rival at equal bits.",
    )
