"""Ridge to label codes: random codes of the labels, and a ridge regression of each modality onto them."""

from __future__ import annotations

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Labels,
    Method,
    Modality,
    Source,
    Split,
    param,
    sign,
)
from bench.methods._codes import normalise_labels
from bench.methods._online import Array, RunningRidge, dot, linear_outputs, without


class RidgeCode(Method):
    """The least that a supervised hash function can do, and a rung of the reference ladder.

    A label row l (c,) of length 1 gets the code ``sign(l N)``, with N (c, bits) standard normal: label sets
    that share labels get close codes (random hyperplanes), and nothing is learned. A ridge regression over
    all rounds maps the raw features of each modality to these codes. A method that scores no higher on
    items that it never trained on has not gained anything from learning its codes.

    Training items get the code of their own labels (``database=learned``). Unlabelled items are left out.
    """

    ridge: float = param(1.0, "penalty on the squared weights", above=0)

    capabilities = Capabilities(supervised=True, learned_codes=True, scaled=True, forgets=True)
    source = Source(
        fidelity="textbook",
        note="Random hyperplanes (Charikar, STOC 2002) on labels, then ridge regression; our combination.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hash_: dict[Modality, RunningRidge] = {m: RunningRidge() for m in MODALITIES}
        self.w_: dict[Modality, Array] = {}

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "a supervised method is given labels"
        if not self.w_:
            self.directions_ = self.rng.standard_normal((chunk.labels.shape[1], self.bits))
        self._codes = self._codes_of(chunk.labels)
        labelled = chunk.labels.any(axis=1)
        for m in MODALITIES:
            features = chunk.batch(m).features[labelled]
            self.hash_[m].add(features, self._codes[labelled], chunk.shared, m)
            self.w_[m] = self.hash_[m].solve(self.ridge, chunk.shared, (m, self.ridge))

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        return linear_outputs(batch.features, self.w_[modality])

    def forget_items(self, items: Split) -> None:
        """Subtract items from the sums: but for rounding, the state is then one that never saw them."""
        assert items.labels is not None, "a supervised method is given labels"
        labelled = np.flatnonzero(items.labels.any(axis=1))
        codes = self._codes_of(items.labels[labelled])
        self.w_ = without(self.hash_, items, labelled, codes, self.ridge)

    def _codes_of(self, labels: Labels) -> Codes:
        """The codes of label rows (n, c)."""
        return sign(dot(normalise_labels(labels), self.directions_))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes
