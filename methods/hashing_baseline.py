"""Hashing-Baseline: principal components of CLIP features under a random rotation; nothing else is learned.

The trap: it hashes CLIP features of queries too, as clip_hash does, so every query costs a pass through CLIP.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, DataError, Method, Modality, Source, sign
from bench.methods._linear import leading, spread, unit_rows
from bench.methods._online import Array, RunningGram, RunningMean, dot, linear_outputs


class HashingBaseline(Method):
    """Hash by the signs of principal components under one random rotation; unsupervised.

    Features are scaled to length 1 and centred per modality. The components are those of all images and texts
    so far, from running sums. The rotation is drawn once; after later chunks, the new components are turned
    as close to the old hash functions as a rotation can, so that old codes stay meaningful.
    """

    capabilities = Capabilities(encodes="clip")
    source = Source(
        paper="Hashing-Baseline. arXiv 2509.14427, 2025",
        fidelity="adaptation",
        note="PCA with as many components as bits, centred, under a random orthogonal rotation, as in the "
        "released code (ilyassmoummad/hashing-baseline, of which we saw no licence and copied nothing; "
        "not run beside ours). Theirs hashes images alone, fits once and has a randomised PCA. Ours: "
        "one exact PCA for both modalities, each centred, and running sums over the stream. Not ported: "
        "their scores, which compare real-valued queries with codes (sigmoid, L1) and are no Hamming "
        "distances. clip_hash with iterations=0 is the same, refitted to a sample of everything seen.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.means_: dict[Modality, RunningMean] = {m: RunningMean() for m in MODALITIES}
        self.grams_: dict[Modality, RunningGram] = {m: RunningGram() for m in MODALITIES}
        self.w_: Array | None = None  # (d, bits)

    def fit_chunk(self, chunk: Chunk) -> None:
        widths = [chunk.batch(m).features.shape[1] for m in MODALITIES]
        if widths[0] != widths[1]:
            raise DataError(
                f"the 'clip' views have {widths[0]} columns for images and {widths[1]} for texts; expected "
                "the same number. Use CLIP's projected features."
            )
        spreads = []
        for m in MODALITIES:
            x = unit_rows(chunk.batch(m).features)
            mean = self.means_[m].add(x)
            gram = self.grams_[m].add(x)
            spreads.append(np.asarray(gram.gram) - gram.n * np.outer(mean, mean))
        components = leading(np.tril(sum(spreads)), self.bits)
        if self.w_ is None:
            turn = spread(components.shape[1], self.bits, self.rng)
        else:
            left, _, right = svd(dot(components.T, self.w_), full_matrices=False, lapack_driver="gesvd")
            turn = dot(left, right)
        self.w_ = dot(components, turn)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        assert self.w_ is not None, "fit_chunk() comes first"
        mean = np.asarray(self.means_[modality].mean)
        return linear_outputs(unit_rows(batch.features), self.w_, mean @ self.w_)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))
