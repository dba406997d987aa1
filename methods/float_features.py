"""Float features: class probabilities, not hashed; a reference that shows what hashing costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Method, Modality, Source, param
from bench.methods._classifier import Classifier, LabelRegression, taught


class FloatFeatures(Method):
    """Rank by the cosine of real-valued vectors: linear class probabilities minus class frequencies.

    Ridge regression of the labels on the standardised features estimates the probability of each class. The
    inner product of two items' probabilities estimates how many labels they share. Frequencies are
    subtracted because a label that every item has is uninformative.

    The vectors have one value per class; ``bits`` has no effect.
    """

    ridge: float = param(0.1, "added to the unit variance of the standardised features", above=0)

    capabilities = Capabilities(supervised=True, reference="real-valued")
    source = Source(
        note="Our reference: the classifier of classifier_code, ranked by its scores instead of its "
        "decision. Clipping and centring were chosen by mAP on the Wiki and synthetic queries.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.labels_: dict[Modality, LabelRegression] = {m: LabelRegression() for m in MODALITIES}
        self.classifier_: dict[Modality, Classifier] = {}

    def fit_chunk(self, chunk: Chunk) -> None:
        self.classifier_ = taught(self.labels_, chunk, ridge=self.ridge)

    def encode(self, batch: Batch, modality: Modality) -> Any:
        probabilities = np.clip(self.classifier_[modality](batch.features), 0, 1)
        return (probabilities - self.labels_[modality].frequency).astype(np.float32)
