"""Optimised product quantisation: PQ under a rotation that is learned with the centroids."""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from bench.api import Batch, Modality, Source, param
from bench.methods._linear import spread
from bench.methods._online import Array, dot
from bench.methods._quantisers import nearest
from bench.methods.pq import PQ


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

    def _learn(self, x: Array) -> None:
        self.turn_ = spread(x.shape[1], x.shape[1], self.rng)
        codebook = [self._start(part, count) for part, count in self._parts(dot(x, self.turn_))]
        for _ in range(self.iterations):
            turned = dot(x, self.turn_)
            codebook = self._updated(codebook, turned, 1)
            parts = zip(self._parts(turned), codebook, strict=True)
            named = np.hstack([centres[nearest(part, centres)] for (part, _), centres in parts])
            left, _, right = svd(dot(x.T, named), full_matrices=False, lapack_driver="gesvd")
            self.turn_ = dot(left, right)
        self.codebook_ = self._updated(codebook, dot(x, self.turn_), 1)

    def _turned(self, batch: Batch, modality: Modality) -> Array:
        return dot(self._vectors(batch, modality), self.turn_)
