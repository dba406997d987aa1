"""Binary embeddings: the signs of CLIP features, compared with float32 queries; a rival at equal bits.

The trap: every query costs a pass through CLIP, as with clip_hash.
"""

from __future__ import annotations

from bench.api import Batch, Capabilities, Chunk, Codes, Features, Modality, Source, sign
from bench.methods._online import Array, dot
from bench.methods._quantisers import Quantiser, components


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

    def fit_chunk(self, chunk: Chunk) -> None:
        self.w_ = components(self._see(chunk), self.bits, self.rng)

    def _values(self, batch: Batch, modality: Modality) -> Array:
        return dot(self._vectors(batch, modality), self.w_)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self._values(batch, modality))

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return self._values(batch, modality).astype("float32")
