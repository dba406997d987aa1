"""SePH: codes whose distances follow label similarity, then kernel logistic regression; offline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._anchors import Anchors, anchor_features, fit_anchors
from bench.methods._codes import normalise_labels
from bench.methods._online import Array, Factor, RunningGram, dot


class SePH(Method):
    """Learn codes whose distances, as probabilities, follow label similarity; then predict each bit.

    With label similarities A_ij (cosines of label vectors), p_ij = A_ij / ΣA and, for real codes h_i of r
    bits, q_ij ∝ 1 / (1 + ‖h_i - h_j‖²/4), it minimises over the h_i

        Σ_ij p_ij log(p_ij / q_ij) + alpha / (n r) Σ_i ‖|h_i| - 1‖²

    and hashes by sgn(h_i). Then it fits one logistic regression per bit and modality on RBF features. p
    depends on labels alone, so items with the same label set share one h, and the sums run over label sets,
    weighted by frequency. Only labelled items with one of the ``sets`` most frequent label sets train; the
    learned codes of all others are predicted from both modalities.
    """

    alpha: float = param(0.01, "weight of the quantisation loss", least=0)
    penalty: float = param(1.0, "ridge penalty of the logistic regressions", above=0)
    bases: int = param(500, "anchors of the RBF features, drawn from the training items", least=1)
    sets: int = param(500, "learn codes for at most this many label sets, the most frequent ones", least=1)
    steps: int = param(100, "L-BFGS iterations on the divergence", least=1)
    iterations: int = param(30, "updates of the logistic regressions", least=1)

    capabilities = Capabilities(supervised=True, offline=True, learned_codes=True)
    source = Source(
        paper="Z. Lin, G. Ding, M. Hu, J. Wang. Semantics-preserving hashing for cross-view retrieval. "
        "CVPR 2015, 3864-3872",
        fidelity="adaptation",
        note="Objective from memory of the paper, not checked against its code. Ours: one code per label set "
        "instead of a sample of items; L-BFGS; random bases (the paper's SePH_rnd, not k-means) and their "
        "kernel width; logistic regression by a bound on its Hessian that all bits share. Checked: gradient "
        "against finite differences, divergence against the sum over pairs of items, regression against "
        "Newton's method.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        labelled = np.flatnonzero(chunk.labels.any(axis=1))
        unique, which, counts = np.unique(
            chunk.labels[labelled], axis=0, return_inverse=True, return_counts=True
        )
        kept = np.argsort(-counts, kind="stable")[: self.sets]
        place = np.full(len(unique), -1)
        place[kept] = np.arange(len(kept))
        place = place[which.ravel()]
        codes = self._set_codes(unique[kept], counts[kept])
        rows, targets = labelled[place >= 0], codes[place[place >= 0]]
        self.maps_: dict[Modality, Anchors] = fit_anchors(chunk, self.bases, self.rng)
        features = anchor_features(chunk, self.maps_)
        self.prior_ = _log_odds(targets, self.bits)
        self.w_ = {m: self._regress(features[m][rows], targets) for m in MODALITIES}
        both = sum(_logits(features[m], self.w_[m]) for m in MODALITIES)
        self._codes = sign(np.asarray(both) - self.prior_)
        self._codes[rows] = targets

    def _set_codes(self, labels: npt.NDArray[np.uint8], counts: npt.NDArray[np.intp]) -> Codes:
        """Learn the codes (sets, bits) of label sets (sets, c) that occur ``counts`` times."""
        share = counts / max(counts.sum(), 1)
        g = normalise_labels(labels)
        p = dot(g, g.T) * np.outer(share, share)
        p /= max(p.sum(), np.finfo(float).tiny)
        start = self.rng.standard_normal((len(labels), self.bits))
        root = np.sqrt(share)[:, None]  # rescales the variables: rare sets move as far as frequent ones

        def loss(flat: Array) -> tuple[float, Array]:
            value, gradient = divergence(flat.reshape(start.shape) / root, p, share, alpha=self.alpha)
            return value, (gradient / root).ravel()

        if not len(labels):
            return sign(start)
        solution = minimize(
            loss, (start * root).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": self.steps}
        )
        return sign(solution.x.reshape(start.shape))

    def _regress(self, x: Array, codes: Codes) -> Array:
        """Fit logistic regressions of all bits on x (n, k): (k + 1, bits), intercepts in the last row."""
        wide = np.column_stack([x, np.ones(len(x))])
        w = np.zeros((wide.shape[1], self.bits))
        bound: Factor = RunningGram().add(0.5 * wide).factor(self.penalty)  # bounds the Hessian of every bit
        for _ in range(self.iterations):
            error = (codes > 0) - expit(dot(wide, w))
            w += bound.solve(dot(wide.T, error) - self.penalty * w)
        return w

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return _logits(self.maps_[modality](batch.features), self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def divergence(h: Array, p: Array, share: Array, *, alpha: float) -> tuple[float, Array]:
    """Return the objective, up to a constant, and its gradient (sets, r) in ``h`` (sets, r).

    ``p`` (sets, sets) holds the probabilities of pairs of label sets, ``share`` (sets,) those of sets.
    """
    squares = np.square(h).sum(axis=1)
    near = 1 / (1 + np.maximum(squares[:, None] + squares - 2 * dot(h, h.T), 0) / 4)
    q = near * np.outer(share, share)
    total = q.sum()
    excess = np.abs(h) - 1
    weight = alpha / h.shape[1] * share[:, None]
    value = np.log(total) - (p * np.log(near)).sum() + (weight * excess**2).sum()
    pull = (p - q / total) * near
    gradient = pull.sum(axis=1)[:, None] * h - dot(pull, h) + 2 * weight * excess * np.sign(h)
    return float(value), gradient


def _logits(x: Array, w: Array) -> Array:
    """Return the log odds (n, bits) that a bit is 1."""
    return dot(x, w[:-1]) + w[-1]


def _log_odds(codes: Codes, bits: int) -> Array:
    """Return the log odds of each bit over codes (n, bits), with one pseudo-count either way: (bits,)."""
    ones = (codes > 0).sum(axis=0) + 1.0
    return np.log(ones / (len(codes) + 2.0 - ones)) if len(codes) else np.zeros(bits)
