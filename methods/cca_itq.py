"""CCA-ITQ: canonical variates turned so that taking their signs loses least; an offline reference."""

from __future__ import annotations

import numpy as np

from bench.api import MODALITIES, Chunk, Modality, Source, param
from bench.methods._linear import frame, itq
from bench.methods._online import Array, dot
from bench.methods.cca import CCA


class CCAITQ(CCA):
    """The variates of CCA, each times its correlation, under one rotation for both modalities; unsupervised.

    The rotation starts at random and is improved by ITQ on the variates of all images and texts seen.
    More bits than directions that both modalities have: the variates are spread over all bits as CCA
    does it, which ITQ then improves.
    """

    iterations: int = param(50, "ITQ updates of the rotation", least=0)

    source = Source(
        paper="Y. Gong, S. Lazebnik, A. Gordo, F. Perronnin. Iterative quantization: a Procrustean "
        "approach to learning binary codes for large-scale image retrieval. IEEE TPAMI 35 (2013) 2916-2929",
        fidelity="adaptation",
        note="The paper takes labels or tags as the second view and hashes images only; here both modalities "
        "are hashed and the rotation is learned on both. The weights of the variates are from memory of the "
        "paper. Checked against the alternation written out.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)
        seen = [dot(chunk.batch(m).features - self.mean_[m], self.w_[m]) for m in MODALITIES]
        start = frame(self.bits, self.bits, self.rng)
        rotation = itq(np.concatenate(seen), start, iterations=self.iterations)
        self.w_: dict[Modality, Array] = {m: dot(w, rotation) for m, w in self.w_.items()}

    def _mix(self, correlations: Array) -> Array:
        weighted = self.bits > len(correlations)  # by the roots of the correlations already
        return (np.sqrt(correlations) if weighted else correlations)[:, None] * super()._mix(correlations)
