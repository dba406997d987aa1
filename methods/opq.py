"""Optimised product quantisation: PQ under a rotation that is learned with the centroids."""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from bench.api import Source, param
from bench.methods._linear import spread
from bench.methods._online import Array, dot
from bench.methods._quantisers import nearest
from bench.methods.pq import PQ, UPDATES, Codebook, divided, started, updated


class TurnedCodebook(Codebook):
    """A codebook of vectors under a rotation."""

    turn: Array  # (d, d)

    @classmethod
    def of(cls, x: Array, bits: int, rng: np.random.Generator, updates: int = UPDATES) -> TurnedCodebook:
        """Find rotation and centroids of vectors x (n, d) in turns."""
        turn = spread(x.shape[1], x.shape[1], rng)
        centroids = [started(part, count, rng) for part, count in divided(dot(x, turn), bits)]
        for _ in range(updates):
            turned = dot(x, turn)
            centroids = updated(centroids, turned, bits, 1)
            parts = zip(divided(turned, bits), centroids, strict=True)
            named = np.hstack([centres[nearest(part, centres)] for (part, _), centres in parts])
            left, _, right = svd(dot(x.T, named), full_matrices=False, lapack_driver="gesvd")
            turn = dot(left, right)
        return cls(bits=bits, centroids=updated(centroids, dot(x, turn), bits, 1), turn=turn)

    def turned(self, vectors: Array) -> Array:
        return dot(vectors, self.turn)


class OPQ(PQ):
    """Rotate vectors so that product quantisation loses little; otherwise as PQ.

    The rotation starts at random, which spreads the variance over the parts. Each iteration updates the
    centroids once, and then the rotation: the one that brings the vectors nearest to what their codes name.
    """

    iterations: int = param(30, "updates of centroids and rotation", least=1)

    source = Source(
        paper="T. Ge, K. He, Q. Ke, J. Sun. Optimized product quantization. IEEE TPAMI 36 (2014) 744-755",
        fidelity="adaptation",
        note="The non-parametric solution, from a random rotation; theirs starts from the parametric one or "
        "the identity. The paper quantises descriptors of images; here images and texts lie in one space.",
    )

    def _part(self, x: Array, rng: np.random.Generator) -> Codebook:
        return TurnedCodebook.of(x, self.bits, rng, self.iterations)
