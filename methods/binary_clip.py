"""Binary embeddings: the signs of CLIP features, compared with float32 queries; a rival at equal bits.

The trap: every query costs a pass through CLIP, as with clip_hash.
"""

from __future__ import annotations

import numpy as np

from bench.api import Capabilities, Codes, Features, Source, sign
from bench.methods._online import Array, dot
from bench.methods._quantisers import Part, Quantiser, components


class Plain(Part):
    """Components whose signs are kept."""

    w: Array  # (d, bits)

    def codes(self, vectors: Array) -> Codes:
        return sign(dot(vectors, self.w))

    def numbers(self, vectors: Array) -> Features:
        return dot(vectors, self.w).astype("float32")


class BinaryClip(Quantiser):
    """Keep the signs of principal components under a random rotation; rank by dot product. Unsupervised.

    The codes are hashing_baseline's, refitted to everything seen. Queries keep their float32 values, so that
    a bit counts for as much as the query is sure of it. Features are scaled to length 1 and centred per
    modality.
    """

    capabilities = Capabilities(offline=True, encodes="clip", distance="dot")
    source = Source(
        note="Asymmetric search of binary embeddings, as libraries for embeddings have it: documents are "
        "bits, queries are float32. Those keep the signs of all dimensions as they are; here principal "
        "components come first, so that a code has as many bits as the run sets."
    )

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Plain(w=components(x, self.bits, rng))
