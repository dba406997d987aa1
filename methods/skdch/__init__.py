"""SKDCH-lite: a teacher's neighbours label the unlabelled items, a student learns from all; offline.

An adaptation of the authors' released code: what is not theirs stands in ``source`` and README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from bench.api import MODALITIES, Capabilities, Chunk, Modality, Source, Split, Variant, param
from bench.methods._hash_network import HashNetworks, sample, scaled_inputs
from bench.methods._online import Array


class SKDCH(HashNetworks):
    """Semi-supervised knowledge distillation for cross-modal hashing, re-implemented without its GAN.

    A teacher learns from pairs and from what labels there are. The labelled among the nearest neighbours
    of an unlabelled item in the teacher's spaces vote on its labels (labels.py), and a student learns
    from the completed labels with a second triplet loss (triplets.py). The student encodes.
    """

    ACTIVATION = "tanh"
    GAIN = 1.0

    neighbours: float = param(
        0.0625, "K of the K nearest neighbours that vote, as a share of the items", above=0, most=1
    )
    vote: Literal["majority", "class_mean"] = param(
        "majority", "a class wins with most votes, or with a larger share of them than of all labels"
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
    intra: float = param(0.5, "share of d(p,n) in what the student pushes apart", least=0, most=1)
    pull: float = param(0.02, "weight of the student's second hinge, on d(q,p) alone", least=0)
    batch: int = param(256, "pairs in a batch", least=2)
    max_train: int = param(
        15_000, "train on a random sample of this size where there are more items", least=2
    )

    capabilities = Capabilities(supervised=True, label_free=True, offline=True)
    source = Source(
        paper="M. Su, G. Gu, X. Ren, H. Fu, Y. Zhao. Semi-supervised knowledge distillation for cross-modal "
        "hashing. IEEE TMM 25 (2023) 662-675",
        fidelity="adaptation",
        note="SKDCH-lite (re-implementation). The authors': sigmoid networks of one tanh layer, the losses "
        "of teacher and student on triplets, margin 5 at 64 bits, cross-entropy on true pairs (0.1), weight "
        "decay, votes of the K nearest in either modality, negatives from 1/20 of the items. Ours: semi-hard "
        "negatives in place of the adversarial generator, candidates drawn per batch; a teacher of 64 bits "
        "whatever the student's (they release one), the margin in proportion; 256 hidden units (8192); "
        "Adam (gradient descent), epochs and rates; one triplet per query and direction; K a share (250 of "
        "4000); a true majority vote per class (their loop keeps the last neighbour's label) from which "
        "the student's similarities follow, where they use neighbours; no model picked on test data.",
    )

    varies: ClassVar[tuple[str, ...]] = ("intra", "pull", "epochs")
    variants: ClassVar[Mapping[str, Variant]] = {
        "untrained-teacher": Variant(
            isolates="what the teacher learns before its neighbours vote", params={"teacher_epochs": 0}
        ),
        "teacher-loss": Variant(
            isolates="both terms that the student's loss has beyond the teacher's",
            params={"intra": 0.0, "pull": 0.0},
        ),
        "no-intra": Variant(isolates="d(p,n) in the triplets", params={"intra": 0.0}),
        "no-pull": Variant(isolates="the second hinge", params={"pull": 0.0}),
        "no-partners": Variant(isolates="the cross-entropy on true pairs", params={"gamma": 0.0}),
        "votes-against-the-class-mean": Variant(
            isolates="the threshold of the vote", params={"vote": "class_mean"}
        ),
        "random-negatives": Variant(
            isolates="semi-hard negatives, which stand for the GAN", params={"negatives": "random"}
        ),
    }

    def _learn(self, chunk: Chunk) -> None:
        settings = (self.seed, self.neighbours, self.vote, self.teacher_epochs, *self._recipe().values())
        key = ("skdch", *settings, self.hidden, self.gamma, self.max_train, self._place())
        self.mean_, self.scale_, x, relevance = chunk.shared.once(key, lambda: self._teach(chunk))
        nets = self._networks(x)
        self._distil(x, relevance, nets)
        self._keep(nets)

    def _distil(self, x: Any, relevance: Any, nets: Any, given: Any | None = None) -> None:
        from bench.methods.skdch import triplets

        triplets.learn(
            x,
            relevance,
            nets,
            stage="student",
            weights=(self.gamma, self.intra, self.pull),
            epochs=self.epochs,
            rng=self.rng,
            given=given,
            **self._recipe(),
        )

    def _recipe(self) -> dict[str, Any]:
        """What the training of the teacher and of the student have in common."""
        names = ("rate", "decay", "batch", "candidates", "negatives")
        return {name: getattr(self, name) for name in names}

    def _teach(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """What no code length changes: location and scale, the features (tensors), who is like whom."""
        mean, scale, x, labels, nets = self._teacher(chunk)
        return mean, scale, x, self._relevance(nets, x, labels)

    def _teacher(self, items: Split) -> tuple[Any, ...]:
        """Location, scale, features and labels (tensors) of a sample, and a teacher trained on it.

        Draws come from a generator of its own, so that a student draws the same with or without it.
        """
        from bench.methods.skdch import triplets
        from bench.methods.skdch.labels import Relevance

        rows, rng = sample(items, self.max_train, self.seed)
        mean, scale, x = scaled_inputs(items, rows, self._place())
        given = np.zeros((len(rows), 0), np.uint8) if items.labels is None else items.labels[rows]
        labels = self._place().tensor(given)
        nets = self._networks(x, bits=triplets.TEACHER_BITS, rng=rng)
        triplets.learn(
            x,
            Relevance(labels),
            nets,
            stage="teacher",
            weights=(self.gamma, 0.0, 0.0),
            epochs=self.teacher_epochs,
            rng=rng,
            **self._recipe(),
        )
        return mean, scale, x, labels, nets

    def _relevance(self, nets: Any, x: Any, labels: Any) -> Any:
        """Who is like whom among the rows of ``x``, after the teacher's neighbours have voted."""
        from bench.methods._neighbours import Similarity
        from bench.methods.skdch import triplets
        from bench.methods.skdch.labels import Relevance, completed

        spaces = [triplets.sigmoids(nets[m], x[m]) for m in MODALITIES]
        similarity = Similarity(spaces, max(1, round(self.neighbours * len(labels))))
        return Relevance(completed(labels, similarity, self.vote), similarity)
