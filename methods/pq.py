"""Product quantisation: a code names the nearest centroid in each of several subspaces.

The trap: codes say nothing without the codebook. They are compared with float32 queries through tables of
distances, and the Hamming distance of two of them is meaningless.
"""

from __future__ import annotations

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Features, Modality, Source, param
from bench.methods._online import Array, dot
from bench.methods._quantisers import Quantiser, code, kmeans, nearest


class PQ(Quantiser):
    """Quantise each of ⌈bits / 8⌉ parts of a vector to one of 256 centroids; unsupervised.

    The vectors are CCA's variates, weighted by their correlations and scaled to length 1. Images and texts
    share the centroids, which k-means finds in both. A query is compared by its squared distance to the
    centroids that an item's code names. Where ``bits`` are no multiple of 8, the last part has fewer.
    """

    iterations: int = param(20, "updates of k-means", least=1)

    capabilities = Capabilities(offline=True, distance="codebook")
    source = Source(
        paper="H. Jégou, M. Douze, C. Schmid. Product quantization for nearest neighbor search. IEEE TPAMI "
        "33 (2011) 117-128",
        note="Asymmetric distance computation over all items, without inverted lists. The paper quantises "
        "descriptors of images; here images and texts lie in one space.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        self._learn(self._see(chunk))

    def _learn(self, x: Array) -> None:
        """Find the centroids of each part of the vectors x (n, d)."""
        starts = [self._start(part, count) for part, count in self._parts(x)]
        self.codebook_ = self._updated(starts, x, self.iterations)

    def _updated(self, codebook: list[Array], x: Array, updates: int) -> list[Array]:
        return [kmeans(part, c, updates) for (part, _), c in zip(self._parts(x), codebook, strict=True)]

    def _start(self, part: Array, count: int) -> Array:
        """Drawn rows as the first centroids; repeated where there are fewer."""
        drawn = part[self.rng.permutation(len(part))[:count]]
        return drawn[np.arange(count) % len(drawn)]

    def _parts(self, x: Array) -> list[tuple[Array, int]]:
        """The part of the vectors (n, d) for each byte of a code, and the number of its centroids."""
        parts = np.array_split(x, -(-self.bits // 8), axis=1)
        return [(part, 2 ** min(8, self.bits - 8 * m)) for m, part in enumerate(parts)]

    def _turned(self, batch: Batch, modality: Modality) -> Array:
        """The vectors (n, d) as they are divided into parts."""
        return self._vectors(batch, modality)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        numbers = [
            nearest(part, centres) * (256 // count)
            for (part, count), centres in zip(
                self._parts(self._turned(batch, modality)), self.codebook_, strict=True
            )
        ]
        return code(np.stack(numbers, axis=1).astype(np.uint8), self.bits)

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        """Squared distances of each part to its centroids, but for the square of the query."""
        tables = [
            np.repeat(np.square(centres).sum(axis=1) - 2 * dot(part, centres.T), 256 // count, axis=1)
            for (part, count), centres in zip(
                self._parts(self._turned(batch, modality)), self.codebook_, strict=True
            )
        ]
        return np.stack(tables, axis=1).astype(np.float32)
