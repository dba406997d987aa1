"""RaBitQ, re-implemented: signs under a random rotation, and a factor that corrects their dot product."""

from __future__ import annotations

import numpy as np

from bench.api import (
    Capabilities,
    Codes,
    Features,
    Source,
    factor_bits,
    sign,
)
from bench.methods._online import Array, dot
from bench.methods._quantisers import Part, Quantiser, components


class Signs(Part):
    """Components whose signs are kept, and the largest factor."""

    bits: int
    w: Array  # (d, bits - bits of the factor)
    largest: float

    @classmethod
    def of(cls, x: Array, bits: int, rng: np.random.Generator) -> Signs:
        w = components(x, bits - factor_bits(bits), rng)
        return cls(bits=bits, w=w, largest=float(_factor(dot(x, w)).max()))

    def codes(self, vectors: Array) -> Codes:
        y, held = dot(vectors, self.w), factor_bits(self.bits)
        most = 2**held - 1
        share = _factor(y) / self.largest if self.largest > 0 else np.ones(len(y))
        number = np.rint(np.clip(share, 0, 1) * most).astype(np.int64)
        bits = number[:, None] >> np.arange(held - 1, -1, -1) & 1
        return np.hstack([sign(y), (2 * bits - 1).astype(np.int8)])

    def numbers(self, vectors: Array) -> Features:
        return dot(vectors, self.w).astype(np.float32)


class RaBitQ(Quantiser):
    """Keep the signs b of a randomly rotated vector y, and ‖y‖² / ‖y‖₁ to estimate dot products with it.

    The estimate of ⟨q, y⟩ for a float32 query q is ⟨q, b⟩ ‖y‖² / ‖y‖₁, which is unbiased over the rotations.
    The factor takes the last 8 bits of the code, or half of a code shorter than 16 bits, as a share of the
    largest factor in training. The vectors are CCA's variates, weighted by their correlations and scaled to
    length 1; as many principal components are kept as there are bits left.
    """

    capabilities = Capabilities(offline=True, distance="scaled dot")
    source = Source(
        paper="J. Gao, C. Long. RaBitQ: quantizing high-dimensional vectors with a theoretical error bound "
        "for approximate nearest neighbor search. SIGMOD 2024, arXiv 2405.12497",
        fidelity="adaptation",
        note="A re-implementation. Its estimates of dot products equal those of faiss's RaBitQuantizer, but "
        "for the 8 bits of the factor. Theirs keeps all dimensions and two float32 numbers an item. Ours: "
        "principal components first, so that a code has as many bits as the run sets, and the factor counts "
        "among them; no clusters with centroids of their own; queries are float32, not 4 bits. The authors' "
        "rabitqlib gives no codes, so the harness could check neither their size nor their distances.",
    )

    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        return Signs.of(x, self.bits, rng)


def _factor(y: Array) -> Array:
    """‖y‖² / ‖y‖₁ of each row, 0 of a row of zeros."""
    length = np.abs(y).sum(axis=1)
    return np.asarray(np.square(y).sum(axis=1) / np.where(length > 0, length, 1.0))
