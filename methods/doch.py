"""DOCH: discrete online cross-modal hashing; learns codes bit by bit from labels shared with old anchors.

The trap: it keeps all old codes and labels, and every round costs more than the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import pinvh

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Shared,
    Source,
    State,
    param,
    sign,
)
from bench.methods._codes import signs
from bench.methods._online import Array, RunningRidge, dot, linear_outputs

_ALPHA = {8: 0.45, 16: 0.35, 32: 0.25, 64: 0.15, 128: 0.10}  # the authors' alpha by code length
_CELLS = 1 << 16  # similarities processed together: 64k fit a typical second-level cache


class Packed(State):
    """Codes and labels of one old chunk, packed to bits: uint8 (n, ⌈r/8⌉) and (n, ⌈c/8⌉)."""

    codes: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, b: Array, labels: Array) -> Packed:
        return cls(np.packbits(b > 0, axis=1), np.packbits(labels > 0, axis=1))


class DOCH(Method):
    """Discrete online hashing of Zhan et al.: a likelihood of shared labels, with anchors for old items.

    For new items with labels L and codes B, anchors with codes A, S = 1 if an item and an anchor share a
    label and 0 otherwise, and Θ = alpha·BAᵀ, it lowers

        -Σ [S Θ - log(1 + exp Θ)] + theta ‖L - B P‖²

    over B and P, one bit at a time, by a quadratic bound. Anchors come from the same chunk in round 0, from
    every older chunk afterwards; each sweep draws new ones. The hash function of a modality is a linear
    regression of B on its raw features over all rounds.
    """

    alpha: float | None = param(
        None,
        "slope of the likelihood; none: the authors' 0.45, 0.35, 0.25, 0.15, 0.10 for 8, 16, 32, 64, 128 "
        "bits, interpolated in log bits and constant outside that range",
        above=0,
    )
    theta: float = param(0.1, "weight of the label regression on the codes", least=0)
    anchors: int = param(50, "anchors from each old chunk", least=1)
    inner: int = param(3, "sweeps over the bits per update of P", least=1)
    outer: int = param(7, "updates of P per chunk", least=1)
    ridge: float = param(1.0, "ridge penalty of the hash functions; 0: pseudo-inverse", least=0)

    capabilities = Capabilities(supervised=True, learned_codes=True, scaled=True)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"authors": {"ridge": 0.0}}
    source = Source(
        paper="Y.-W. Zhan, Y. Wang, Y. Sun, X.-M. Wu, X. Luo, X.-S. Xu. Discrete online cross-modal hashing. "
        "Pattern Recognition 122 (2022) 108262",
        fidelity="authors' algorithm",
        note="Follows the released simplified demo, github.com/yw-zhan/DOCH. Checked: with its random draws "
        "fixed, the codes of three chunks agree in every bit and, with preset=authors, the hash functions to "
        "1e-10. Differs: every old chunk draws its own anchors, where theirs take the same row numbers from "
        "each; the hash functions have a ridge penalty (preset=authors: pseudo-inverse); zeros hash to +1. "
        "State includes the packed codes and labels of all old items, and the time of a round is "
        "proportional to the number of chunks before it. Unknown: whether paper and code agree, and whether "
        "the paper's features were kernelised.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.old_: list[Packed] = []
        self.bb_: Array | float = 0.0  # Σ BᵀB, (r, r)
        self.bl_: Array | float = 0.0  # Σ BᵀL, (r, c)
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labels = chunk.labels.astype(np.float64)
        b = self._learn(labels)
        self.bb_ = self.bb_ + dot(b.T, b)
        self.bl_ = self.bl_ + dot(b.T, labels)
        self.old_ = [*self.old_, Packed.of(b, labels)]
        self._codes = b.astype(np.int8)
        for m in MODALITIES:
            self.hash_[m].add(chunk.batch(m).features, b, chunk.shared, m)
            self.w_[m] = self._hash_function(self.hash_[m], chunk.shared, m)

    def _hash_function(self, hashed: RunningRidge, shared: Shared, m: Modality) -> Array:
        if self.ridge > 0:
            return hashed.solve(self.ridge, shared, m)
        inverse = shared.once(("pinv", m), partial(pinvh, hashed.gram.gram))
        return dot(inverse, np.asarray(hashed.cross))

    def _learn(self, labels: Array) -> Array:
        """Learn the codes B (n, r) of the new items."""
        n, c = labels.shape
        b = signs(self.rng.standard_normal((n, self.bits)))
        p = self.rng.standard_normal((self.bits, c))
        for _ in range(self.outer):
            pull = 2 * self.theta * dot(labels, p.T)
            others = 2 * self.theta * dot(p, p.T)
            np.fill_diagonal(others, 0.0)
            for _ in range(self.inner):
                anchors, anchor_labels = self._anchors(b, labels)
                near = dot(dot(labels, anchor_labels.T) > 0, anchors)
                self._sweep(b, anchors, near, pull, others)
            p = dot(pinvh(self.bb_ + dot(b.T, b)), self.bl_ + dot(b.T, labels))
        return b

    def _anchors(self, b: Array, labels: Array) -> tuple[Array, Array]:
        """Draw anchors: codes (a, r) and labels (a, c) of new items in round 0, later of all old chunks."""
        if not self.old_:
            rows = self.rng.permutation(len(b))[: self.anchors]
            return b[rows], labels[rows]
        drawn = [(old, self.rng.permutation(len(old.codes))[: self.anchors]) for old in self.old_]
        bits = np.concatenate([np.take(old.codes, rows, axis=0) for old, rows in drawn])
        marks = np.concatenate([np.take(old.labels, rows, axis=0) for old, rows in drawn])
        codes = np.unpackbits(bits, axis=1, count=self.bits).astype(np.float64)
        return 2 * codes - 1, np.unpackbits(marks, axis=1, count=labels.shape[1]).astype(np.float64)

    def _sweep(self, b: Array, anchors: Array, near: Array, pull: Array, others: Array) -> None:
        """Update every bit of b (n, r) once, in place, given the current other bits.

        Bit k becomes the sign of

            alpha·(S - C)A_k + alpha²a/4·B_k + pull_k - B·others_k    with C = 1/(1 + exp(-alpha·BAᵀ))

        where near = S A (n, r). Rows are independent. BAᵀ takes only r + 1 values, so C comes from a table.
        """
        slope = self.slope
        r, a = self.bits, len(anchors)
        table = 1 / (1 + np.exp(-slope * np.arange(-r, r + 1, 2)))
        curve = slope**2 * a / 4
        steps = anchors.T.astype(np.intp)
        columns = np.ascontiguousarray(anchors.T)
        size = max(_CELLS // a, 1)
        for start in range(0, len(b), size):
            rows = slice(start, start + size)
            part = b[rows]
            agree = ((dot(part, anchors.T) + r) / 2).astype(np.intp)  # bits in common: an index into table
            fixed = slope * near[rows] + pull[rows]
            for k in range(r):
                expected = table[agree] @ columns[k]
                step = fixed[:, k] - slope * expected + curve * part[:, k] - part @ others[k]
                new = np.where(step >= 0, 1.0, -1.0)
                flipped = np.flatnonzero(new != part[:, k])
                agree[flipped] += new[flipped, None].astype(np.intp) * steps[k]
                part[:, k] = new

    @property
    def slope(self) -> float:
        """``alpha`` if set, else the authors' value for the code length."""
        if self.alpha is not None:
            return self.alpha
        return float(np.interp(np.log2(self.bits), np.log2(list(_ALPHA)), list(_ALPHA.values())))

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes
