"""Product quantisation: a code names the nearest centroid in each of several subspaces.

The trap: codes say nothing without the codebook. They are compared with float32 queries through tables of
distances, and the Hamming distance of two of them is meaningless.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.api import Capabilities, Codes, Features, Source, param
from bench.methods._online import Array, dot
from bench.methods._quantisers import Part, Quantiser, code, kmeans, nearest

UPDATES = 20  # of k-means


class Codebook(Part):
    """The centroids of each part of a vector; a byte of a code names one of them."""

    bits: int
    centroids: list[Array]  # of part m: (k, d_m)

    @classmethod
    def of(cls, x: Array, bits: int, rng: np.random.Generator, updates: int = UPDATES) -> Codebook:
        """Find the centroids of vectors x (n, d) by k-means."""
        starts = [started(part, count, rng) for part, count in divided(x, bits)]
        return cls(bits=bits, centroids=updated(starts, x, bits, updates))

    def turned(self, vectors: Array) -> Array:
        """The vectors as they are divided into parts."""
        return vectors

    def codes(self, vectors: Array) -> Codes:
        numbers = [nearest(part, centres) * (256 // count) for part, count, centres in self._parts(vectors)]
        return code(np.stack(numbers, axis=1).astype(np.uint8), self.bits)

    def numbers(self, vectors: Array) -> Features:
        """Squared distances of each part to its centroids, but for the square of the query."""
        tables = [
            np.repeat(np.square(centres).sum(axis=1) - 2 * dot(part, centres.T), 256 // count, axis=1)
            for part, count, centres in self._parts(vectors)
        ]
        return np.stack(tables, axis=1).astype(np.float32)

    def _parts(self, vectors: Array) -> Iterator[tuple[Array, int, Array]]:
        parts = divided(self.turned(vectors), self.bits)
        for (part, count), centres in zip(parts, self.centroids, strict=True):
            yield part, count, centres


def divided(x: Array, bits: int) -> list[tuple[Array, int]]:
    """The part of the vectors (n, d) for each byte of a code, and the number of its centroids."""
    parts = np.array_split(x, -(-bits // 8), axis=1)
    return [(part, 2 ** min(8, bits - 8 * m)) for m, part in enumerate(parts)]


def started(part: Array, count: int, rng: np.random.Generator) -> Array:
    """Drawn rows as the first centroids; repeated where there are fewer."""
    drawn = part[rng.permutation(len(part))[:count]]
    return drawn[np.arange(count) % len(drawn)]


def updated(centroids: list[Array], x: Array, bits: int, updates: int) -> list[Array]:
    """The centroids after so many updates of k-means on vectors x (n, d)."""
    parts = zip(divided(x, bits), centroids, strict=True)
    return [kmeans(part, centres, updates) for (part, _), centres in parts]


class PQ(Quantiser):
    """Quantise each of ⌈bits / 8⌉ parts of a vector to one of 256 centroids; unsupervised.

    The vectors are CCA's variates, weighted by their correlations and scaled to length 1. Images and texts
    share the centroids, which k-means finds in both. A query is compared by its squared distance to the
    centroids that an item's code names. Where ``bits`` are no multiple of 8, the last part has fewer.
    """

    iterations: int = param(UPDATES, "updates of k-means", least=1)

    capabilities = Capabilities(offline=True, distance="codebook")
    source = Source(
        paper="H. Jégou, M. Douze, C. Schmid. Product quantization for nearest neighbor search. IEEE TPAMI "
        "33 (2011) 117-128",
        note="Asymmetric distance computation over all items, without inverted lists. The paper quantises "
        "descriptors of images; here images and texts lie in one space.",
    )

    def _part(self, x: Array, rng: np.random.Generator) -> Codebook:
        return Codebook.of(x, self.bits, rng, self.iterations)
