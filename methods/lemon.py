"""LEMON: label-embedding online hashing; codes follow labels, ridge regression maps features to codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve, svd

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    ParameterError,
    Source,
    Split,
    State,
    param,
    sign,
)
from bench.methods._codes import (
    ABSOLUTE,
    AS_AUTHORS,
    TOLERANCE,
    balanced_orthogonal,
    normalise_labels,
    procrustes,
)
from bench.methods._online import (
    KEEP_CODES,
    Array,
    KeptCodes,
    RunningRidge,
    dot,
    linear_outputs,
    without,
)
from bench.methods._student import EPOCHS, HIDDEN, MEMORY, Student


class Sums(State):
    """Running sums over all items so far, with codes B and embedding V.

    With r bits and c classes: vv (r, r), vl (r, c), gb and gv (c, r), bv (r, r), v (r,).
    G is the normalised label matrix, see :func:`~bench.methods._codes.normalise_labels`.
    """

    vv: Array
    vl: Array
    gb: Array
    bv: Array
    gv: Array
    v: Array

    @classmethod
    def zero(cls, r: int, c: int) -> Sums:
        shapes = [(r, r), (r, c), (c, r), (r, r), (c, r), (r,)]
        return cls(*(np.zeros(shape) for shape in shapes))

    def plus(self, labels: Array, g: Array, b: Array, v: Array) -> Sums:
        """Return the sums including one chunk: labels and g (n, c), b and v (n, r)."""
        return Sums(
            vv=self.vv + dot(v.T, v),
            vl=self.vl + dot(v.T, labels),
            gb=self.gb + dot(g.T, b),
            bv=self.bv + dot(b.T, v),
            gv=self.gv + dot(g.T, v),
            v=self.v + v.sum(axis=0),
        )


class LEMON(Method):
    """Discrete online hashing of Wang, Luo and Xu: labels alone determine the learned codes.

    For new items with labels L, and S = 2GGᵀ - 11ᵀ between them and all items so far, it lowers

        alpha ‖V Bᵀ - r S‖² + beta (‖L - V P‖² + gamma ‖P‖²) + ‖B - V R‖²

    over codes B, an embedding V with VᵀV = nI and Vᵀ1 = 0, P, and a rotation R. Then it fits one ridge
    regression of B on the raw features per modality, with penalty xi, over all rounds.

    A code is almost a function of the label set: with one label per item and c classes, a learned database
    has c distinct codes and large ties. Directions that the labels leave open (r > c) are random.
    """

    alpha: float = param(1e4, "weight of the pairwise label similarity", above=0)
    beta: float = param(1e4, "weight of the label embedding", above=0)
    gamma: float = param(0.1, "ridge penalty of the label embedding", above=0)
    xi: float = param(1.0, "ridge penalty of the hash functions", above=0)
    iterations: int = param(5, "alternating updates per chunk", least=1)
    student: Literal["linear", "hidden"] = param(
        "linear", "hash functions: ridge regression, or networks with hidden units (ours, not the authors')"
    )
    hidden: int = HIDDEN
    epochs: int = EPOCHS
    memory: int = MEMORY
    tolerance: float = TOLERANCE
    absolute: bool = ABSOLUTE
    keep_codes: bool = KEEP_CODES

    capabilities = Capabilities(supervised=True, learned_codes=True, scaled=True, forgets=True)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {**AS_AUTHORS["authors"], "student": "linear"}
    }
    source = Source(
        paper="Y. Wang, X. Luo, X.-S. Xu. Label Embedding Online Hashing for Cross-Modal Retrieval. "
        "ACM MM 2020, 871-879",
        fidelity="authors' algorithm",
        note="Follows the released code, github.com/yxinwang/LEMON-MM2020. Checked: with its random draws "
        "fixed, the codes of three chunks agree in every bit and the hash functions to 1e-12. Differs: a "
        "relative tolerance (preset=authors: absolute) marks dead directions, which are filled orthogonally "
        "to the live ones; zeros hash to +1. Ours: student=hidden, to compare codes with LCDH's at an equal "
        "student. Unknown: whether paper and code agree.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sums_: Sums | None = None
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}
        self.student_ = Student.new(self.bits, memory=self.memory)
        self.kept_ = KeptCodes.empty(self.bits)
        if self.keep_codes and self.student == "hidden":
            raise ParameterError(
                "LEMON: keep_codes applies to student=linear, since a network cannot subtract an item. Leave "
                "one of them out."
            )

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labels, g = chunk.labels.astype(np.float64), normalise_labels(chunk.labels)
        old = self.sums_ or Sums.zero(self.bits, labels.shape[1])
        b, v = self._learn(labels, g, old)
        self.sums_ = old.plus(labels, g, b, v)
        self._codes = b.astype(np.int8)
        if self.student == "hidden":
            self.student_.fit(chunk, b, hidden=self.hidden, epochs=self.epochs, rng=self.rng)
            return
        for m in MODALITIES:
            self.hash_[m].add(chunk.batch(m).features, b, chunk.shared, m)
            self.w_[m] = self.hash_[m].solve(self.xi, chunk.shared, m)
        if self.keep_codes:
            self.kept_.add(chunk.ids, b)

    def forget_items(self, items: Split) -> None:
        """With ``keep_codes``, subtract items from the hash functions; nothing otherwise. Ours.

        But for rounding, these are then the regressions of the codes of the items that are left. The sums of
        codes and labels, from which later codes are learned, keep the items; they hold no features.
        """
        if self.keep_codes:
            self.w_ = without(self.hash_, items, slice(None), self.kept_.take_out(items.ids), self.xi)

    def _learn(self, labels: Array, g: Array, old: Sums) -> tuple[Array, Array]:
        """Learn codes B and embedding V, (n, r) each, of the new items."""
        n, r = len(labels), self.bits
        similar, offset = 2 * self.alpha * r * g, self.alpha * r  # the two terms of alpha·r·S
        b = _sign(self.rng.standard_normal((n, r)))
        v = self.rng.standard_normal((n, r))
        rotation = svd(self.rng.standard_normal((r, r)), lapack_driver="gesvd")[0]
        for _ in range(self.iterations):
            ridge = old.vv + dot(v.T, v) + self.gamma * np.eye(r)
            p = solve(ridge, old.vl + dot(v.T, labels), assume_a="pos")
            z = dot(b, rotation.T) + self.beta * dot(labels, p.T) + dot(similar, old.gb + dot(g.T, b))
            # The -11ᵀ of S adds the same to every row of z; centring z cancels it.
            v = balanced_orthogonal(z, self.rng, tolerance=self.tolerance, absolute=self.absolute)
            rotation = procrustes(old.bv + dot(b.T, v))
            target = dot(similar, old.gv + dot(g.T, v)) - offset * (old.v + v.sum(axis=0))
            b = _sign(target + dot(v, rotation))
        return b, v

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        if self.student == "hidden":
            return self.student_.project(batch.features, modality)
        return linear_outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def _sign(x: npt.NDArray[np.float64]) -> Array:
    return sign(x).astype(np.float64)
