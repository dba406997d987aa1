"""Classifier code: predict labels, then hash the prediction; the baseline for supervised hashing."""

from __future__ import annotations

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, Split, param
from bench.methods._classifier import (
    Classifier,
    LabelRegression,
    class_codes,
    label_codes,
    taught,
    untaught,
)


class ClassifierCode(Method):
    """Predict an item's labels with a linear classifier and hash the predicted label set.

    A label is predicted if its least-squares score exceeds 1/2; the label with the highest score always is.
    The code of a label set is the majority of its classes' codes, which are rows of a Hadamard matrix and
    not learned. Items with the same predicted labels tie: the ranking is the classifier's decision and
    nothing more. With one label per item, the code is the predicted class in bits.

    Training items get the code of their true labels (``database=learned``).
    """

    ridge: float = param(0.1, "added to the unit variance of the standardised features", above=0)

    capabilities = Capabilities(supervised=True, learned_codes=True, forgets=True)
    source = Source(
        paper="A. Sablayrolles, M. Douze, N. Usunier, H. Jégou. How should we evaluate supervised hashing? "
        "ICASSP 2017, arXiv 1609.06753",
        fidelity="adaptation",
        note="The paper shows that encoding a classifier's output trivially solves the supervised protocol; "
        "this carries the idea over to two modalities, several labels and chunks. Classifier (running ridge "
        "regression), threshold and class codes are ours, chosen among several forms by mAP on the Wiki and "
        "synthetic queries.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.labels_: dict[Modality, LabelRegression] = {m: LabelRegression() for m in MODALITIES}
        self.classifier_: dict[Modality, Classifier] = {}

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        if not self.classifier_:
            self.classes_ = class_codes(chunk.labels.shape[1], self.bits, self.rng)
            self.tie_ = self.rng.choice([-0.5, 0.5], self.bits)
        self.classifier_ = taught(self.labels_, chunk, ridge=self.ridge)
        self._codes = label_codes(chunk.labels, self.classes_, self.tie_)

    def forget_items(self, items: Split) -> None:
        """Subtract items from the sums: but for rounding, the classifiers then never saw them."""
        self.classifier_ = untaught(self.labels_, items, ridge=self.ridge)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        scores = self.classifier_[modality](batch.features)
        predicted = (scores > 0.5) | (scores == scores.max(axis=1, keepdims=True))
        return label_codes(predicted, self.classes_, self.tie_)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes
