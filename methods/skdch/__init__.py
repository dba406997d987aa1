"""SKDCH-lite: a teacher's neighbours label the unlabelled items, a student learns from all; offline.

An adaptation of the authors' released code: what is not theirs stands in ``source`` and README.md.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign
from bench.methods._hash_network import outputs, sample, scaled_inputs
from bench.methods._online import Array


class SKDCH(Method):
    """Semi-supervised knowledge distillation for cross-modal hashing, re-implemented without its GAN.

    A teacher learns from pairs and from what labels there are. The labelled among the nearest neighbours
    of an unlabelled item in the teacher's spaces vote on its labels (labels.py), and a student learns
    from the completed labels with a second triplet loss (triplets.py). The student encodes.
    """

    neighbours: float = param(
        0.0625, "K of the K nearest neighbours that vote, as a share of the items", above=0, most=1
    )
    negatives: Literal["lite", "random"] = param(
        "lite", "semi-hard negatives from the candidates, or random ones"
    )
    candidates: float = param(0.05, "share of the items that negatives are chosen from", above=0, most=1)
    teacher_epochs: int = param(5, "passes of the teacher over the pairs", least=0)
    epochs: int = param(12, "passes of the student over the pairs", least=0)
    hidden: int = param(256, "hidden units of the teacher and of the student", least=1)
    rate: float = param(3e-3, "learning rate of both (Adam)", above=0)
    decay: float = param(0.01, "weight of ½‖θ‖² of both", least=0)
    gamma: float = param(0.1, "weight of the cross-entropy on who is whose partner", least=0)
    batch: int = param(256, "pairs in a batch", least=2)
    max_train: int = param(
        15_000, "train on a random sample of this size where there are more items", least=2
    )
    device: str = param("cpu", "torch device to train on; encoding is NumPy's")

    capabilities = Capabilities(supervised=True, label_free=True, offline=True)
    source = Source(
        paper="M. Su, G. Gu, X. Ren, H. Fu, Y. Zhao. Semi-supervised knowledge distillation for cross-modal "
        "hashing. IEEE TMM 25 (2023) 662-675",
        fidelity="adaptation",
        note="SKDCH-lite. The authors': sigmoid networks of one tanh layer, the teacher's and the student's "
        "triplet losses with margin 5 at 64 bits, cross-entropy on true pairs (0.1), weight decay, votes of "
        "the K nearest in either modality, negatives from 1/20 of the items. Ours: semi-hard negatives in "
        "place of the adversarial generator, candidates drawn per batch; a teacher of 64 bits whatever the "
        "student's (they release one length) and the margin in proportion to it; 256 hidden units (8192); "
        "Adam (gradient descent), epochs and rates; one triplet per query and direction; K a share (250 of "
        "4000); a true majority vote per class (their loop keeps the last neighbour's label) from which "
        "the student's similarities follow, where they use neighbours; no model picked on test data.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        from bench.methods.skdch import triplets

        settings = (self.seed, self.neighbours, self.teacher_epochs, *self._recipe().values())
        key = ("skdch", *settings, self.max_train, self.device)
        self.mean_, self.scale_, x, relevance = chunk.shared.once(key, lambda: self._teach(chunk))
        nets = triplets.learn(
            x, relevance, bits=self.bits, epochs=self.epochs, student=True, rng=self.rng, **self._recipe()
        )
        self.weights_ = {m: nets[m].arrays() for m in MODALITIES}

    def _recipe(self) -> dict[str, Any]:
        """What the teacher and the student have in common."""
        names = ("hidden", "rate", "decay", "gamma", "batch", "candidates", "negatives")
        return {name: getattr(self, name) for name in names}

    def _teach(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """What no code length changes: location and scale, the features (tensors), who is like whom.

        Draws come from a generator of its own, so that a student draws the same with or without it.
        """
        from bench.methods._neighbours import Similarity
        from bench.methods._network import tensor
        from bench.methods.skdch import triplets
        from bench.methods.skdch.labels import Relevance, completed

        rows, rng = sample(chunk, self.max_train, self.seed)
        mean, scale, x = scaled_inputs(chunk, rows, self.device)
        given = np.zeros((len(rows), 0), np.uint8) if chunk.labels is None else chunk.labels[rows]
        labels = tensor(given, self.device)
        teacher = triplets.learn(
            x,
            Relevance(labels),
            bits=triplets.TEACHER_BITS,
            epochs=self.teacher_epochs,
            student=False,
            rng=rng,
            **self._recipe(),
        )
        spaces = [triplets.sigmoids(teacher[m], x[m]) for m in MODALITIES]
        similarity = Similarity(spaces, max(1, round(self.neighbours * len(rows))))
        return mean, scale, x, Relevance(completed(labels, similarity), similarity)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """Where the student's sigmoids reach ½."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        weights = self.weights_[modality]
        return sign(outputs(batch.features, weights, mean=mean, scale=scale, activation=np.tanh))
