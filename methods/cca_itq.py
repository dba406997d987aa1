"""CCA-ITQ: canonical variates, rotated to minimise the quantisation error; an offline baseline."""

from __future__ import annotations

import numpy as np

from bench.api import MODALITIES, Chunk, Modality, Source, param
from bench.methods._linear import frame, itq
from bench.methods._online import Array, dot
from bench.methods.cca import CCA


class CCAITQ(CCA):
    """Weight CCA's variates by their correlations and rotate both modalities alike; unsupervised.

    The rotation starts at random; ITQ improves it on the variates of all images and texts so far. If there
    are more bits than shared directions, the variates are spread over all bits as in CCA before ITQ starts.
    """

    iterations: int = param(50, "ITQ updates of the rotation", least=0)

    source = Source(
        paper="Y. Gong, S. Lazebnik, A. Gordo, F. Perronnin. Iterative quantization: a Procrustean "
        "approach to learning binary codes for large-scale image retrieval. IEEE TPAMI 35 (2013) 2916-2929",
        fidelity="adaptation",
        note="The paper uses labels or tags as the second view and hashes images only; here both modalities "
        "are hashed and the rotation is learned on both. The weights of the variates follow the paper from "
        "memory. Checked against a literal version of the alternation.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)
        seen = [dot(chunk.batch(m).features - self.mean_[m], self.w_[m]) for m in MODALITIES]
        start = frame(self.bits, self.bits, self.rng)
        rotation = itq(np.concatenate(seen), start, iterations=self.iterations)
        self.w_: dict[Modality, Array] = {m: dot(w, rotation) for m, w in self.w_.items()}

    def _mix(self, correlations: Array) -> Array:
        weighted = self.bits > len(correlations)  # CCA has applied the square roots already
        return (np.sqrt(correlations) if weighted else correlations)[:, None] * super()._mix(correlations)
