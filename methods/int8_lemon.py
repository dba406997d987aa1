"""int8 embeddings: a byte for each principal component of the outputs of LEMON's hash functions."""

from __future__ import annotations

from bench.methods._quantisers import OfOutputs, combination, quantised
from bench.methods.int8_clip import Int8Clip
from bench.methods.lemon import LEMON


class Int8Lemon(OfOutputs, Int8Clip):
    """int8 embeddings from the outputs of LEMON, scaled to length 1, not of CLIP; learns by chunk."""

    hashes = LEMON
    capabilities = quantised(LEMON, Int8Clip)
    source = combination(LEMON, Int8Clip)
