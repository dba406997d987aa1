"""OHPKL: online hashing with partially known labels; predicts missing labels, then hashes.

The trap: an unlabelled item is a row of zeros in the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.linalg import eigh, solve

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
from bench.methods._anchors import Anchors, anchor_features, fit_anchors, too_few
from bench.methods._codes import (
    SIGNS,
    balanced_orthogonal,
    codes_from_labels,
    flips,
    leading_directions,
    leading_scores,
    normalise_labels,
)
from bench.methods._online import Array, RunningGram, RunningRidge, dot

Features = Mapping[Modality, Array]


class Predictor(State):
    """Sums over all labelled items, from which the label predictors W_m (k, c) are solved.

    X_m (n, k) are features, Y (n, c) normalised labels and U (n, c) their embedding.
    """

    uu: Array = field(default_factory=lambda: np.zeros((1, 1)))  # Σ UᵀU, (c, c)
    target: dict[Modality, Array] = field(default_factory=dict)  # Σ Xᵀ(U + theta·YYᵀU), (k, c)
    gram: dict[Modality, RunningGram] = field(default_factory=dict)  # Σ XᵀX, (k, k)


class OHPKL(Method):
    """Discrete online hashing of Shu, Li and Yu for streams in which some items are unlabelled.

    On labelled items, with normalised labels Y and RBF features X_m, it lowers

        lam Σ_m ‖W_m‖₂,₁ + Σ_m ‖U - X_m W_m‖² + theta Σ_m ‖YYᵀ - U (X_m W_m)ᵀ‖²

    over an embedding U and predictors W_m, alternately; the update of W_m is a Sylvester equation. For an
    unlabelled item, X_m W_m, averaged over modalities and clipped at 0, replaces its row of Y. Then Y
    determines the codes B, together with an embedding V with VᵀV = nI and Vᵀ1 = 0, by

        alpha ‖r YYᵀ - V Bᵀ‖² + beta ‖B - V‖²

    Sums represent old rounds. The hash functions are ridge regressions of B on X_m over all rounds.
    """

    anchors: int = param(300, "anchors of the RBF features, from the first chunk; 0: raw features", least=0)
    lam: float = param(0.1, "weight of the class sparsity of the predictors", above=0)
    theta: float = param(1e-3, "weight of label similarity in label prediction", above=0)
    alpha: float = param(1.0, "weight of label similarity in the codes", above=0)
    beta: float = param(0.01, "pull between codes and embedding", above=0)
    sigma: float = param(0.1, "ridge penalty of the hash functions", above=0)
    iterations: int = param(5, "alternating updates per chunk, in both stages", least=1)
    accumulate: Literal["once", "code"] = param(
        "once", "once: add a chunk to the sums once; code: in every iteration, as the authors' code does"
    )
    first: Literal["predict", "code"] = param(
        "predict",
        "missing labels of the first chunk; predict: predicted; code: zero, as in the authors' code",
    )
    predictions: Literal["raw", "code"] = param(
        "raw", "predicted labels count as they are, or, as in the authors' code, scaled to length 1"
    )
    tolerance: float = param(
        1e-12, "a direction is dead if its eigenvalue is below this share of the largest", least=0
    )
    absolute: bool = param(False, "compare eigenvalues with the tolerance itself, as the authors' code does")
    signs: Literal["fixed", "drawn"] = SIGNS

    capabilities = Capabilities(supervised=True, label_free=True, learned_codes=True)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {
            "anchors": 1000,
            "accumulate": "code",
            "first": "code",
            "predictions": "code",
            "tolerance": 1e-4,
            "absolute": True,
            "signs": "drawn",
        }
    }
    source = Source(
        paper="Z. Shu, L. Li, Z. Yu. Online hashing with partially known labels for cross-modal retrieval. "
        "Engineering Applications of Artificial Intelligence 138 (2024) 109367",
        fidelity="authors' algorithm",
        note="Follows the released code, github.com/liligithub5/OHPKL. Checked: on raw features with "
        "preset=authors and signs=fixed, the codes of three chunks, a fifth of each unlabelled, and of "
        "queries agree in every bit; on the Wiki stream, preset=authors with 300 anchors reaches the "
        "mAP of that code. Differs, and no preset changes it: any item may be unlabelled; anchors, "
        "kernel width and centring come from the first chunk, where theirs come from the full training "
        "set, and both modalities have the same anchors; queries are thresholded at 0, theirs at the "
        "mean of the query batch; the weight gamma is fixed to 1, their setting; dead directions are "
        "filled orthogonally to live ones. Differs by default: missing labels are predicted in the "
        "first chunk too and not scaled, and a chunk enters the sums once, with its final V "
        "(preset=authors: as in the code); 300 anchors (1000); a relative tolerance marks dead "
        "directions (absolute); principal directions have fixed signs (drawn).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.maps_: dict[Modality, Anchors] = {}
        self.predictor_ = Predictor()
        self.vy_: Array | float = 0.0  # Σ VᵀY, (r, c)
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}  # hash functions, (k, r)

    def fit_chunk(self, chunk: Chunk) -> None:
        first = not self.maps_
        inside = self.accumulate == "code" and not first
        if first:
            self.maps_ = fit_anchors(chunk, self.anchors, self.rng)
        x = anchor_features(chunk, self.maps_)
        settings = (self.iterations, self.accumulate, self.first, self.predictions)
        key = ("labels", self.anchors, self.lam, self.theta, *settings)
        complete = partial(self._complete, self._labels(chunk), x, first=first, inside=inside)
        self.predictor_, y = chunk.shared.once(key, complete)
        balanced = partial(
            balanced_orthogonal, rng=self.rng, tolerance=self.tolerance, absolute=self.absolute
        )
        directions = chunk.shared.once("directions", partial(leading_directions, x["text"]))
        directions = directions * flips(self.signs, len(directions), self.rng)
        v = leading_scores(x["text"], directions, self.bits, self.rng)
        b, self.vy_ = codes_from_labels(
            [y] * (self.iterations + 1),
            v,
            self.vy_,
            pull=self.beta / self.alpha,
            inside=inside,
            balanced=balanced,
            final=self.accumulate == "once",
        )
        for m in MODALITIES:
            self.hash_[m].add(x[m], b, chunk.shared, m)
            self.w_[m] = self.hash_[m].solve(self.sigma, chunk.shared, m)
        self._codes = b.astype(np.int8)

    def _labels(self, chunk: Chunk) -> Array:
        """Return normalised labels (n, c); unlabelled rows are zero."""
        if chunk.labels is not None:
            return normalise_labels(chunk.labels)
        # Before the first label one column suffices: zeros change nothing in sums of any width.
        return np.zeros((len(chunk), len(self.predictor_.uu)))

    def _complete(self, y: Array, x: Features, *, first: bool, inside: bool) -> tuple[Predictor, Array]:
        """Return the sums including this chunk, and Y (n, c) with predictions for unlabelled items.

        Neither depends on the codes.
        """
        known = y.any(axis=1)
        if not known.any() and not self.predictor_.gram:
            return self.predictor_, y
        labelled = {m: x[m][known] for m in MODALITIES}
        gram = {m: self.predictor_.gram.get(m, RunningGram()).add(labelled[m]) for m in MODALITIES}
        sums, w = self._predict(y[known], labelled, gram, first=first, inside=inside)
        predicted = sum(dot(x[m][~known], w[m]) for m in MODALITIES) / len(MODALITIES)
        completed = y.copy()
        predicted = np.maximum(predicted, 0)
        completed[~known] = normalise_labels(predicted) if self.predictions == "code" else predicted
        return sums, completed

    def _predict(
        self, y: Array, x: Features, gram: dict[Modality, RunningGram], *, first: bool, inside: bool
    ) -> tuple[Predictor, dict[Modality, Array]]:
        """Return the sums including these labelled items, and the predictors W_m (k, c)."""
        c = y.shape[1]
        w = {m: np.zeros((x[m].shape[1], c)) for m in MODALITIES}
        # The authors' code updates U before W in the first round, so both stay zero.
        u = np.zeros_like(y) if first and self.first == "code" else y
        spectra = {m: gram[m].spectrum() for m in MODALITIES}
        old = self.predictor_
        sums = old = Predictor(old.uu, old.target, gram)
        for _ in range(self.iterations):
            sums = self._add(sums if inside else old, y, u, x)
            w = {m: self._solve(sums, m, w[m], *spectra[m]) for m in MODALITIES}
            scores = [dot(x[m], w[m]) for m in MODALITIES]
            right = np.sum([s + self.theta * dot(y, dot(y.T, s)) for s in scores], axis=0)
            left = 2 * np.eye(c) + self.theta * sum(dot(s.T, s) for s in scores)
            u = solve(left, right.T, assume_a="pos").T
        return (sums if inside else self._add(old, y, u, x)), w

    def _add(self, to: Predictor, y: Array, u: Array, x: Features) -> Predictor:
        """Return the sums ``to`` including labels y and their embedding u, (n, c) each."""
        wanted = u + self.theta * dot(y, dot(y.T, u))
        target = {m: to.target.get(m, 0.0) + dot(x[m].T, wanted) for m in MODALITIES}
        return Predictor(to.uu + dot(u.T, u), target, to.gram)

    def _solve(self, sums: Predictor, m: Modality, w: Array, values: Array, vectors: Array) -> Array:
        """Solve ``lam W D + XᵀX W (I + theta UᵀU) = target``, a Sylvester equation, for W (k, c).

        D is diagonal, with 1 / ‖column of the last W‖; ``values`` and ``vectors`` are the eigenpairs of XᵀX.
        In a basis where both sides are diagonal, the solution is a division.
        """
        active = np.diag(1 / np.sqrt(np.square(w).sum(axis=0) + 1e-6))
        weights, directions = eigh(active, np.eye(len(active)) + self.theta * sums.uu)
        scale = self.lam * weights + np.maximum(values, 0)[:, None]
        free = dot(dot(vectors.T, sums.target[m]), directions) / scale
        return dot(dot(vectors, free), directions.T)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return self.maps_[modality].outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes

    def notes(self) -> list[str]:
        return too_few(self.maps_, self.anchors)
