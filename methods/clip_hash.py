"""CLIP hash: CLIP features, rotated and binarised; the baseline for methods with a CLIP teacher.

The trap: it hashes CLIP features of queries too, so every query costs a pass through CLIP. The students of
a CLIP teacher avoid that cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    DataError,
    Method,
    Modality,
    Source,
    Variant,
    param,
    sign,
)
from bench.methods._linear import itq, leading, spread, unit_rows
from bench.methods._online import Array, dot, linear_outputs


class CLIPHash(Method):
    """Hash by the signs of rotated CLIP features, one rotation for both modalities; unsupervised.

    Features are scaled to length 1 and centred per modality, which removes CLIP's offset between images
    and texts. ``itq`` keeps the ``bits`` leading principal components of all images and texts, under a
    random rotation that ITQ improves. ``random`` rotates all components at random and keeps the first
    ``bits``. If there are more bits than columns, a random matrix with orthonormal rows spreads the columns
    over all bits; ``itq`` then improves it.
    """

    rotation: Literal["itq", "random"] = param(
        "itq", "itq: learned on both modalities; random: drawn, not learned"
    )
    iterations: int = param(50, "ITQ updates of the rotation", least=0)
    max_train: int = param(20_000, "train on a random sample of at most this many pairs", least=1)

    capabilities = Capabilities(offline=True, encodes="clip")
    source = Source(
        paper="Y. Gong, S. Lazebnik, A. Gordo, F. Perronnin. Iterative quantization: a Procrustean "
        "approach to learning binary codes for large-scale image retrieval. IEEE TPAMI 35 (2013) 2916-2929",
        fidelity="adaptation",
        note="Our baseline. PCA and ITQ are the paper's, which hashes images; here they are learned on the "
        "CLIP features (Radford et al., ICML 2021) of images and texts together, each modality centred. "
        "CLIP is not fine-tuned, and no labels are read.",
    )

    variants: ClassVar[Mapping[str, Variant]] = {
        "random-rotation": Variant(isolates="ITQ and principal components", params={"rotation": "random"}),
        "no-itq": Variant(isolates="updates of the rotation", params={"iterations": 0}),
    }

    def fit_chunk(self, chunk: Chunk) -> None:
        x = {m: chunk.batch(m).features for m in MODALITIES}
        columns = x["image"].shape[1]
        if x["text"].shape[1] != columns:
            raise DataError(
                f"the {self.capabilities.encodes!r} views have {columns} columns for images and "
                f"{x['text'].shape[1]} for texts; expected the same number. Use CLIP's projected features."
            )
        if len(chunk) > self.max_train:
            rows = self.rng.choice(len(chunk), self.max_train, replace=False)
            x = {m: v[rows] for m, v in x.items()}
        unit = {m: unit_rows(v) for m, v in x.items()}
        self.mean_: dict[Modality, Array] = {m: v.mean(axis=0) for m, v in unit.items()}
        if self.rotation == "random":
            self.w_ = spread(columns, self.bits, self.rng)
            return
        both = np.concatenate([unit[m] - self.mean_[m] for m in MODALITIES])
        components = leading(dot(both.T, both), self.bits)
        start = spread(components.shape[1], self.bits, self.rng)
        turn = itq(dot(both, components), start, iterations=self.iterations)
        self.w_ = dot(components, turn)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(unit_rows(batch.features), self.w_, self.mean_[modality] @ self.w_)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))
