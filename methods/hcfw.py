"""HCFW: every class has a code that never changes; items vote with the codes of their classes."""

from __future__ import annotations

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
    ParameterError,
    Source,
    Split,
    encode_texts,
    param,
    sign,
)
from bench.methods._codes import signs
from bench.methods._linear import unit_rows
from bench.methods._online import Array, RunningRidge, dot, linear_outputs, without


class HCFW(Method):
    """High-level codes of Zhan et al.: class codes first, then ridge regression of item codes on features.

    In the round of its first item a class gets its code. With vectors V of the classes, new ones N and old
    ones O, it lowers ‖C_N - W V_Nᵀ‖ bit by bit over binary C_N (r, c), with W = (C Cᵀ)⁺ C V over all classes
    known. C_O stays as it is, so nothing is forgotten by construction. Learned codes are sign(C Lᵀ); an item
    without labels gets the code of its features.
    """

    words: str = param(
        "", "view of texts that gives the vectors of class names, such as clip:small; empty: one-hot"
    )
    theta: float = param(1.0, "ridge penalty of the hash functions", above=0)
    iterations: int = param(5, "updates of the codes of new classes", least=1)

    capabilities = Capabilities(
        supervised=True, learned_codes=True, scaled=True, class_names=True, forgets=True
    )
    source = Source(
        paper="Y.-W. Zhan, X.-M. Wu, X. Luo, Y. Wei, X.-S. Xu. High-level codes and fine-grained weights for "
        "online multi-modal hashing retrieval. arXiv 2406.10776, 2024",
        fidelity="adaptation",
        note="The original is multi-modal: a query has both modalities, weighted by errors that depend on "
        "the batch of queries. That part is not ported; a query is hashed by the function of its own "
        "modality. Class codes and hash functions follow the released code, DravenALG/HCFW (no licence, "
        "so only described and written anew). Checked: with fixed draws and vectors, all class codes of "
        "three chunks of Wiki agree in every bit with what the specification has from the authors' "
        "program, and the hash functions to 1e-8. Ours: one-hot vectors by default (theirs: word vectors of "
        "class names), with which class codes stay as they are drawn; zeros hash to +1 (theirs to bit "
        "0); items without labels do not enter the hash functions. Defaults are the authors'.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vectors_: Array | None = None  # V, (c, t), rows of length 1
        self.codes_: Array | None = None  # C, (c, r); classes not yet seen are 0
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        if self.vectors_ is None:
            self.vectors_ = self._class_vectors(chunk)
        if self.codes_ is None:
            self.codes_ = np.zeros((chunk.labels.shape[1], self.bits))
        new: npt.NDArray[np.bool_] = (chunk.labels > 0).max(axis=0) & (self.codes_ == 0).max(axis=1)
        if new.any():
            self.codes_ = self._with_new(new, self.codes_, self.vectors_)
        labelled = chunk.labels.sum(axis=1) > 0
        self._labelled = labelled[:, None]
        self._codes = sign(dot(chunk.labels, self.codes_))
        for m in MODALITIES:
            x = chunk.batch(m).features
            self.hash_[m].add(x[labelled], self._codes[labelled], chunk.shared, m)
            self.w_[m] = self.hash_[m].solve(self.theta, chunk.shared, m)

    def forget_items(self, items: Split) -> None:
        """Subtract items from the hash functions, exactly, since class codes never change. Ours."""
        assert items.labels is not None, "supervised methods always receive labels"
        assert self.codes_ is not None, "fit_chunk() comes first"
        labelled = np.flatnonzero(items.labels.any(axis=1))
        codes = sign(dot(items.labels[labelled], self.codes_))
        self.w_ = without(self.hash_, items, labelled, codes, self.theta)

    def _class_vectors(self, chunk: Chunk) -> Array:
        assert chunk.labels is not None
        if not self.words:
            return np.eye(chunk.labels.shape[1])
        if not chunk.classes:
            raise ParameterError(
                f"words={self.words!r} needs the names of the classes, which this dataset lacks."
            )
        return unit_rows(encode_texts(self.words, chunk.classes))

    def _with_new(self, new: npt.NDArray[np.bool_], codes: Array, vectors: Array) -> Array:
        """Return the class codes (c, r) with those of ``new`` classes (c,)."""
        codes, r = codes.copy(), self.bits
        # Drawn with classes in columns, the authors' layout: equal draws then give equal codes.
        codes[new] = signs(self.rng.standard_normal((r, int(new.sum())))).T
        for _ in range(self.iterations):
            w = dot(pinvh(dot(codes.T, codes)), dot(codes.T, vectors))  # (r, t)
            target, gram = dot(vectors[new], w.T), dot(w, w.T)
            own = codes[new]
            for bit in range(r):
                others = np.delete(np.arange(r), bit)
                pull = dot(own[:, others], gram[others, bit : bit + 1])[:, 0]
                own[:, bit] = signs(target[:, bit] - pull)
            codes[new] = own
        return codes

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        hashed = self.encode(chunk.batch(modality), modality)
        return np.where(self._labelled, self._codes, hashed)
