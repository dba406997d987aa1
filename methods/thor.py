"""THOR: three-step online hashing with one code per class, from the similarities of their names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh, hadamard, solve

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Source,
    State,
    param,
    sign,
)
from bench.methods._codes import balanced_orthogonal, normalise_labels, signs
from bench.methods._names import class_vectors
from bench.methods._online import Array, RunningGram, dot, linear_outputs


class Sums(State):
    """Running sums over all items so far, with codes B and embedding V.

    With r bits and c classes: gb and gv (c, r), bb (r, r); G is the normalised label matrix.
    """

    gb: Array
    gv: Array
    bb: Array

    @classmethod
    def zero(cls, r: int, c: int) -> Sums:
        return cls(*(np.zeros(shape) for shape in [(c, r), (c, r), (r, r)]))

    def plus(self, g: Array, b: Array, v: Array) -> Sums:
        """Return the sums including one chunk: g (n, c), b and v (n, r)."""
        return Sums(gb=self.gb + dot(g.T, b), gv=self.gv + dot(g.T, v), bb=self.bb + dot(b.T, b))


class THOR(Method):
    """Learn class codes, then item codes, then hash functions; new classes get codes on arrival.

    1. A class has a prototype, its column of K (r, c): a column of a Hadamard matrix, projected to r bits.
       The codes H of the classes that are new in a round minimise ``‖r A - Kᵀ H‖² + alpha ‖H - K_new‖²``,
       with K over all classes so far, and never change. A holds the cosines between vectors of the class
       names, which ``names`` chooses; without it A is the identity.
    2. With S = 2GGᵀ - 11ᵀ between new items and all items so far, the codes of new items are

           V = argmax tr Vᵀ(beta r S B + theta B)   with VᵀV = nI and Vᵀ1 = 0
           B = sign(r L Hᵀ + beta r S V + theta V)

    3. A linear autoencoder per modality, over all rounds: ``‖X - B W‖² + gamma ‖X Wᵀ - B‖²``, a Sylvester
       equation in W (r, d). A query gets the code ``sign(x Wᵀ)``.
    """

    alpha: float = param(10.0, "pull of class codes towards their prototypes", above=0)
    beta: float = param(100.0, "weight of the pairwise label similarity", above=0)
    theta: float = param(0.1, "pull between codes and embedding", above=0)
    gamma: float = param(10.0, "weight of the encoder relative to the decoder", above=0)
    names: str | None = param(
        None, "view of the class names whose cosines are A, such as clip:small or sentence; none: A is 1"
    )
    iterations: int = param(1, "alternating updates per chunk", least=1)
    first_weight: Literal["bits", "alpha"] = param(
        "bits", "weight of A in the first round; bits: as in later rounds; alpha: as in the authors' code"
    )
    tolerance: float = param(
        1e-12, "a direction is dead if its eigenvalue is below this share of the largest", least=0
    )
    absolute: bool = param(False, "compare eigenvalues with the tolerance itself, as the authors' code does")

    capabilities = Capabilities(
        supervised=True, learned_codes=True, scaled=True, lengths=True, class_names=True
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"first_weight": "alpha", "tolerance": 1e-6, "absolute": True},
        "nus": {"alpha": 1.0, "beta": 1e-3, "gamma": 1e3},
    }
    source = Source(
        paper="Y.-W. Zhan et al. THOR: Three-Step Hashing for Online Cross-Modal Retrieval. 2023",
        fidelity="adaptation",
        note="Follows the released code, github.com/yw-zhan/THOR, commit 7d065c0, which we read but never "
        "ran. Differs: by default no word vectors of class names, so all classes are equally dissimilar "
        "(names: a view of them, where the authors take word2vec); a class is new "
        "when its first item arrives, and its Hadamard column has the index of its label; the Hadamard "
        "matrix grows beyond 128 with classes or bits; r weighs the class similarity in the first round as "
        "in later ones (preset=authors: alpha); dead directions as in LEMON (preset=authors: absolute "
        "tolerance); the encoder is 0 in directions that occur in neither codes nor features. Commit 28672c5 "
        "of the code computes class codes differently and iterates 7 times. Unknown: what the paper says.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sums_: Sums | None = None
        self.prototypes_: Array | None = None  # Kᵀ, (c, r)
        self.class_codes_: Array | None = None  # Hᵀ, (c, r); rows of classes not yet seen are 0
        self.seen_: npt.NDArray[np.bool_] | None = None  # (c,)
        self.similar_: Array | None = None  # A, (c, c)
        self.gram_: dict[Modality, RunningGram] = {m: RunningGram() for m in MODALITIES}
        self.cross_: dict[Modality, Array] = {}  # Σ XᵀB, (d, r)
        self.w_: dict[Modality, Array] = {}  # hash functions Wᵀ, (d, r)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labels, g = chunk.labels.astype(np.float64), normalise_labels(chunk.labels)
        if self.sums_ is None:
            self._begin(classes=labels.shape[1])
            self.similar_ = chunk.shared.once(("names", self.names), lambda: self._similarities(chunk))
        assert self.sums_ is not None
        self._name_new_classes(labels)
        b, v = self._learn(labels, g, self.sums_)
        self.sums_ = self.sums_.plus(g, b, v)
        self._codes = b.astype(np.int8)
        for m in MODALITIES:
            x = chunk.batch(m).features
            self.gram_[m] = chunk.shared.once(("gram", m), partial(self.gram_[m].add, x))
            self.cross_[m] = self.cross_.get(m, 0.0) + dot(x.T, b)
            spectrum = chunk.shared.once(("spectrum", m), self.gram_[m].spectrum)
            self.w_[m] = autoencoder(self.sums_.bb, spectrum, self.cross_[m], self.gamma)

    def _begin(self, classes: int) -> None:
        self.sums_ = Sums.zero(self.bits, classes)
        self.prototypes_ = prototypes(classes, self.bits, self.rng)
        self.class_codes_ = np.zeros((classes, self.bits))
        self.seen_ = np.zeros(classes, dtype=bool)

    def _similarities(self, chunk: Chunk) -> Array | None:
        """Cosines between the vectors of the class names (c, c); None without ``names``."""
        if self.names is None:
            return None
        unit = normalise_labels(class_vectors("thor", self.names, chunk))
        return dot(unit, unit.T)

    def _name_new_classes(self, labels: Array) -> None:
        """Assign codes to the classes whose first item is among ``labels`` (n, c)."""
        assert self.seen_ is not None and self.prototypes_ is not None and self.class_codes_ is not None
        new = labels.any(axis=0) & ~self.seen_
        weight = self.alpha if self.first_weight == "alpha" and not self.seen_.any() else self.bits
        self.seen_ = self.seen_ | new
        known = self.prototypes_[self.seen_]
        ridge = dot(known.T, known) + self.alpha * np.eye(self.bits)
        if self.similar_ is None:  # weight·A·K + alpha·K_new, with A = I
            target = (weight + self.alpha) * self.prototypes_[new]
        else:
            alike = self.similar_[np.ix_(new, self.seen_)]
            target = weight * dot(alike, known) + self.alpha * self.prototypes_[new]
        if new.any():
            self.class_codes_[new] = solve(ridge, target.T, assume_a="pos").T

    def _learn(self, labels: Array, g: Array, old: Sums) -> tuple[Array, Array]:
        """Learn codes B and embedding V, (n, r) each, of the new items."""
        assert self.class_codes_ is not None
        from_classes = self.bits * dot(labels, self.class_codes_)
        similar = 2 * self.beta * self.bits * g
        b = signs(self.rng.standard_normal((len(g), self.bits)))
        for _ in range(self.iterations):
            # The -11ᵀ of S adds the same to every row of z, which centring cancels, and nothing to the
            # target of b, because the V of every chunk is balanced.
            z = dot(similar, old.gb + dot(g.T, b)) + self.theta * b
            v = balanced_orthogonal(z, self.rng, tolerance=self.tolerance, absolute=self.absolute)
            b = signs(from_classes + dot(similar, old.gv + dot(g.T, v)) + self.theta * v)
        return b, v

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def prototypes(classes: int, bits: int, rng: np.random.Generator) -> Array:
    """Return one Hadamard column per class, projected to r bits, as rows (c, r).

    The order of the matrix is 128, or the power of two that classes and bits require. If bits equal the
    order, the columns are not projected.
    """
    order = 1 << (max(128, classes, bits) - 1).bit_length()
    columns = hadamard(order)[:classes].astype(np.float64)  # the matrix is symmetric
    return columns if bits == order else dot(columns, rng.standard_normal((bits, order)).T)


def autoencoder(bb: Array, spectrum: tuple[Array, Array], xb: Array, gamma: float) -> Array:
    """Find the Wᵀ (d, r) that minimises ``‖X - B W‖² + gamma ‖X Wᵀ - B‖²``.

    It solves ``bb W + gamma W xx = (1 + gamma) xbᵀ`` with bb = BᵀB (r, r), xb = XᵀB (d, r) and xx = XᵀX,
    given by its ``spectrum``. In the two eigenbases the solution is a division; where both eigenvalues
    vanish, so does the right-hand side, and W is 0.
    """
    features, basis = spectrum
    codes, rotation = eigh(bb)
    scale = codes + gamma * features[:, None]
    right = (1 + gamma) * dot(dot(basis.T, xb), rotation)
    alive = scale > len(scale) * np.finfo(np.float64).eps * scale.max()
    solved = np.divide(right, scale, where=alive, out=np.zeros_like(right))
    return dot(dot(basis, solved), rotation.T)
