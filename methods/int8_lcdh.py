"""int8 embeddings: a byte for each principal component of the outputs of LCDH's hash functions."""

from __future__ import annotations

from bench.api import Source
from bench.methods._quantisers import OfOutputs, quantised
from bench.methods.int8_clip import Int8Clip
from bench.methods.lcdh import LCDH


class Int8Lcdh(OfOutputs, Int8Clip):
    """int8 embeddings from the outputs of LCDH, scaled to length 1, not of CLIP; learns by chunk."""

    hashes = LCDH
    capabilities = quantised(LCDH, Int8Clip)
    source = Source(
        paper=Int8Clip.source.paper,
        fidelity="new",
        note="Int8Clip is applied to the outputs of LCDH; the combination is ours, a rival at equal bits.",
    )
