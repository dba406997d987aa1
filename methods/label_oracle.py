"""Label oracle: codes computed from the true labels; an estimate of what a code length can achieve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from bench.api import Batch, Capabilities, Chunk, Codes, Labels, Method, Modality, Source, param, sign
from bench.methods._linear import frame, itq
from bench.methods._online import Array, dot

_RANK = 1e-9  # eigenvalues below this share of the largest are rounding errors


class LabelOracle(Method):
    """Hash the true labels, also of queries: how well can codes of this length tell who shares a label?

    Two label sets have similarity 1 if they share a label, else 0. The similarity matrix of the label sets
    in training, minus its mean and weighted by how often each set occurs, is factorised; ITQ rotates its
    leading ``bits`` directions before they are binarised. Other label sets are placed by their similarities
    to those (Nyström). The gap to a perfect ranking is the cost of so few bits, as far as this construction
    is optimal, which is not proven.
    """

    sets: int = param(1500, "factorise at most this many label sets, the most frequent ones", least=1)
    iterations: int = param(50, "ITQ updates of the rotation", least=0)

    capabilities = Capabilities(supervised=True, offline=True, reference="oracle", learned_codes=True)
    source = Source(
        note="Our reference: spectral factorisation of label similarity, then ITQ (Gong and Lazebnik, CVPR "
        "2011); the best of several constructions on the labels of MIRFlickr and synthetic.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        unique, counts = np.unique(chunk.labels, axis=0, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[: self.sets]
        self.sets_: Labels = unique[kept]
        share = counts[kept] / counts[kept].sum()
        similar = _share_a_label(self.sets_, self.sets_)
        self.mean_ = float(share @ similar @ share)
        factor = self._factor(similar - self.mean_, np.sqrt(share))
        if factor.shape[1]:  # otherwise all similarities are equal
            placed = share[:, None] * dot(similar - self.mean_, factor)  # weights label sets by their items
            start = frame(factor.shape[1], self.bits, self.rng)
            factor = dot(factor, itq(placed, start, iterations=self.iterations))
        self.w_ = factor if factor.shape[1] else np.zeros((len(share), self.bits))
        self._codes = self._hash(chunk.labels)

    def _factor(self, similar: Array, root: Array) -> Array:
        """Find F (sets, k) with ``(S F)(S F)ᵀ ≈ S``, most exact for frequent sets (``root`` = √share)."""
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
    """Return (n, m): 1 if rows of the label matrices a (n, c) and b (m, c) share a label, else 0."""
    return (dot(a, b.T) > 0).astype(np.float64)
