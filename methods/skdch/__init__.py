"""SKDCH-lite: a teacher labels the unlabelled items by neighbours' votes, a student learns all; offline.

An adaptation of the authors' released code; ``source`` and README.md list the differences.
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

    A teacher learns from pairs and from the available labels. In the teacher's spaces, the labelled nearest
    neighbours of an unlabelled item vote on its labels (labels.py). A student learns from the completed
    labels with an extended triplet loss (triplets.py). The student encodes.
    """

    ACTIVATION = "tanh"
    GAIN = 1.0

    neighbours: float = param(
        0.0625, "number of nearest neighbours that vote, as a share of the items", above=0, most=1
    )
    vote: Literal["majority", "class_mean"] = param(
        "majority",
        "majority: classes of over half the voters and the top ones; class_mean: above the overall frequency",
    )
    negatives: Literal["lite", "random"] = param(
        "lite", "lite: semi-hard negatives from the candidates; random: any of them"
    )
    candidates: float = param(0.05, "share of the items that negatives are chosen from", above=0, most=1)
    teacher_epochs: int = param(5, "training epochs of the teacher", least=0)
    epochs: int = param(12, "training epochs of the student", least=0)
    hidden: int = param(256, "hidden units, for teacher and student", least=1)
    rate: float = param(3e-3, "learning rate, for teacher and student (Adam)", above=0)
    decay: float = param(0.01, "weight of ½‖θ‖², for teacher and student", least=0)
    gamma: float = param(0.1, "weight of the cross-entropy on true pairs", least=0)
    intra: float = param(0.5, "share of d(p,n) in the distance to negatives (student)", least=0, most=1)
    pull: float = param(0.02, "weight of the second hinge, on d(q,p) alone (student)", least=0)
    batch: int = param(256, "pairs per batch", least=2)
    max_train: int = param(15_000, "train on a random sample of at most this many pairs", least=2)

    capabilities = Capabilities(supervised=True, label_free=True, offline=True)
    source = Source(
        paper="M. Su, G. Gu, X. Ren, H. Fu, Y. Zhao. Semi-supervised knowledge distillation for cross-modal "
        "hashing. IEEE TMM 25 (2023) 662-675",
        fidelity="adaptation",
        note="SKDCH-lite (re-implementation). As the authors do: sigmoid networks with one tanh layer, the "
        "triplet losses of teacher and student, margin 5 at 64 bits, cross-entropy on true pairs (0.1), "
        "weight decay, votes of the K nearest in either modality, negatives from 1/20 of the items. Ours "
        "(theirs in brackets): semi-hard negatives instead of the adversarial generator, candidates drawn "
        "per batch; a teacher of 64 bits for every student (only one length released), the margin "
        "proportional to bits; 256 hidden units (8192); Adam (gradient descent), epochs and rates; one "
        "triplet per query and direction; K a share of the items (250 of 4000); a true majority vote per "
        "class (their loop keeps the last neighbour's label), from which the student's similarities follow "
        "(neighbours); no model selection on test data.",
    )

    varies: ClassVar[tuple[str, ...]] = ("intra", "pull", "epochs")
    variants: ClassVar[Mapping[str, Variant]] = {
        "untrained-teacher": Variant(
            isolates="training of the teacher before the vote", params={"teacher_epochs": 0}
        ),
        "teacher-loss": Variant(
            isolates="both terms that the student's loss adds to the teacher's",
            params={"intra": 0.0, "pull": 0.0},
        ),
        "no-intra": Variant(isolates="d(p,n) in the triplets", params={"intra": 0.0}),
        "no-pull": Variant(isolates="the second hinge", params={"pull": 0.0}),
        "no-partners": Variant(isolates="the cross-entropy on true pairs", params={"gamma": 0.0}),
        "votes-against-the-class-mean": Variant(
            isolates="the threshold of the vote", params={"vote": "class_mean"}
        ),
        "random-negatives": Variant(
            isolates="semi-hard negatives, our replacement of the GAN", params={"negatives": "random"}
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
        """Return the training settings shared by teacher and student."""
        names = ("rate", "decay", "batch", "candidates", "negatives")
        return {name: getattr(self, name) for name in names}

    def _teach(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """Return mean, scale, features (tensors) and relevance; the same for every code length."""
        mean, scale, x, labels, nets = self._teacher(chunk)
        return mean, scale, x, self._relevance(nets, x, labels)

    def _teacher(self, items: Split) -> tuple[Any, ...]:
        """Train a teacher on a sample; returns mean, scale, features, labels (tensors) and the teacher.

        It has its own generator, so that training a teacher does not change the student's draws.
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
        """Return the relevance among the rows of ``x``, with labels completed by the vote."""
        from bench.methods._neighbours import Similarity
        from bench.methods.skdch import triplets
        from bench.methods.skdch.labels import Relevance, completed

        spaces = [triplets.sigmoids(nets[m], x[m]) for m in MODALITIES]
        similarity = Similarity(spaces, max(1, round(self.neighbours * len(labels))))
        return Relevance(completed(labels, similarity, self.vote), similarity)
