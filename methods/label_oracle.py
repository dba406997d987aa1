"""Label oracle: codes of the true labels of queries and items; how well this many bits can do at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from bench.api import Batch, Capabilities, Chunk, Codes, Labels, Method, Modality, Source, param, sign
from bench.methods._linear import frame, itq
from bench.methods._online import Array, dot

_RANK = 1e-9  # share of the largest eigenvalue below which a direction is rounding


class LabelOracle(Method):
    """Looks at the labels, of queries as well: how well can codes of this length say who shares a label?

    Two label sets are similar (1) if they share a label, and else not (0). The similarity of the
    label sets seen, weighted by how often each occurs and less its mean, is factorised; its leading
    ``bits`` directions are turned by ITQ and binarised. Other label sets are placed by their
    similarities to those (Nyström). What is missing to a perfect ranking is what this many bits
    cost, to the extent that this construction is the best one; it is not proven to be.
    """

    sets: int = param(1500, "at most this many label sets are factorised, the most frequent ones", least=1)
    iterations: int = param(50, "ITQ updates of the rotation", least=0)

    capabilities = Capabilities(supervised=True, offline=True, reference="oracle", learned_codes=True)
    source = Source(
        note="Our reference, built from a spectral factorisation of label similarity and ITQ (Gong and "
        "Lazebnik, CVPR 2011); the best of several constructions on MIRFlickr's and the synthetic labels.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "a supervised method is given labels"
        found, counts = np.unique(chunk.labels, axis=0, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[: self.sets]
        self.sets_: Labels = found[kept]
        share = counts[kept] / counts[kept].sum()
        similar = _share_a_label(self.sets_, self.sets_)
        self.mean_ = float(share @ similar @ share)
        factor = self._factor(similar - self.mean_, np.sqrt(share))
        if factor.shape[1]:  # else all similarities are equal
            placed = share[:, None] * dot(similar - self.mean_, factor)  # so that ITQ counts every item
            start = frame(factor.shape[1], self.bits, self.rng)
            factor = dot(factor, itq(placed, start, iterations=self.iterations))
        self.w_ = factor if factor.shape[1] else np.zeros((len(share), self.bits))
        self._codes = self._hash(chunk.labels)

    def _factor(self, similar: Array, root: Array) -> Array:
        """The F (sets, k) with ``(S F)(S F)ᵀ ≈ S``, best where ``root``, roots of the shares, is large."""
        last = len(similar) - 1
        leading = (max(last + 1 - self.bits, 0), last)
        values, vectors = eigh(root[:, None] * similar * root, subset_by_index=leading)
        alive = values > _RANK * max(values[-1], 0.0)
        return root[:, None] * vectors[:, alive] / np.sqrt(values[alive])

    def _hash(self, labels: npt.NDArray[Any]) -> Codes:
        return sign(dot(_share_a_label(labels, self.sets_) - self.mean_, self.w_))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return self._hash(batch.views["labels"])

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def _share_a_label(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Array:
    """(n, m): 1 where rows of the label matrices a (n, c) and b (m, c) have a label in common, else 0."""
    return (dot(a, b.T) > 0).astype(np.float64)
