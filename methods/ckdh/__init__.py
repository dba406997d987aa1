"""CKDH, re-implemented: a supervised teacher on CLIP images and a graph of texts, distilled; offline.

Only the outline is the paper's; every equation is our reconstruction (README.md beside this file).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Features,
    Method,
    Modality,
    Source,
    param,
    sign,
)
from bench.methods._hash_network import location_and_scale, outputs, sample, scaled_inputs
from bench.methods._online import Array


class CKDH(Method):
    """CLIP-based knowledge distillation hashing, re-implemented on fixed features.

    The teacher sees CLIP features of the images, bags of words and labels (teacher.py). The student
    sees the plain features of both modalities and imitates the teacher's similarities (student.py);
    it alone encodes. The learned codes of the database are signs of the sum of both its outputs.
    """

    lambda1: float = param(1.0, "weight of the teacher's similarities within a modality", least=0)
    lambda2: float = param(1.0, "weight of the teacher's similarities across modalities", least=0)
    gamma: float = param(0.1, "weight of quantisation, of the teacher and of the student", least=0)
    neighbours: int = param(10, "other texts of its batch that a text attends to in training", least=0)
    heads: int = param(4, "attention heads of the teacher's text branch", least=1)
    width: int = param(64, "units of each head", least=1)
    teacher_epochs: int = param(10, "passes of the teacher over the pairs", least=0)
    teacher_rate: float = param(1e-3, "learning rate of the teacher (Adam); a tenth in its adapter", above=0)
    epochs: int = param(20, "passes of the student over the pairs", least=0)
    hidden: int = param(512, "hidden units of the student", least=1)
    rate: float = param(1e-3, "learning rate of the student (Adam)", above=0)
    batch: int = param(128, "pairs in a batch, of the teacher and of the student", least=2)
    max_train: int = param(
        15_000, "train on a random sample of this size where there are more items", least=2
    )
    device: str = param("cpu", "torch device to train on; encoding is NumPy's")

    capabilities = Capabilities(supervised=True, views=("clip",), offline=True, learned_codes=True)
    source = Source(
        paper="J. Li, W. K. Wong, L. Jiang, X. Fang, S. Xie, Y. Xu. CKDH: CLIP-based knowledge distillation "
        "hashing for cross-modal retrieval. IEEE TCSVT 34 (2024) 6530-6541",
        fidelity="reconstruction",
        note="The abstract's: CLIP for images and a graph attention network over bags of words in the "
        "teacher; a similarity that preserves log-likelihood, intra- and inter-modality similarities; a "
        "lightweight student under its supervision. Ours, as neither text nor code was available: every "
        "equation, width, weight, rate and number of epochs; a residual adapter on fixed CLIP features "
        "where they fine-tune CLIP; neighbours from the batch, and none outside of training.",
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        from bench.methods.ckdh import student, teacher

        key = ("ckdh", self.seed, self.max_train, self.device)
        self.mean_, self.scale_, items = chunk.shared.once(key, lambda: self._prepare(chunk))
        taught = teacher.learn(
            items,
            bits=self.bits,
            neighbours=self.neighbours,
            heads=self.heads,
            width=self.width,
            epochs=self.teacher_epochs,
            rate=self.teacher_rate,
            weights=(self.lambda1, self.lambda2, self.gamma),
            batch=self.batch,
            rng=self.rng,
        )
        self.weights_ = student.learn(
            items,
            taught,
            hidden=self.hidden,
            epochs=self.epochs,
            rate=self.rate,
            gamma=self.gamma,
            batch=self.batch,
            rng=self.rng,
        )

    def _prepare(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], dict[str, Any]]:
        """What no code length changes: location and scale, and the training items as tensors.

        A sample of a long stream is drawn from a generator of its own: cells share it.
        """
        from bench.methods._network import tensor

        rows, _ = sample(chunk, self.max_train, self.seed)
        assert chunk.labels is not None, "CKDH is supervised"
        mean, scale, scaled = scaled_inputs(chunk, rows, self.device)
        items: dict[str, Any] = {"image": scaled["image"], "text": scaled["text"]}
        items["labels"] = tensor(chunk.labels[rows], self.device)
        words, clip = chunk.text.features[rows], chunk.image.views["clip"][rows]
        centre, spread = location_and_scale(clip)
        items["words"] = tensor(words, self.device)
        items["clip"] = tensor((clip - centre) / spread, self.device)
        return mean, scale, items

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of one of the student's networks; no CLIP, no labels, no other modality enter."""
        return sign(self._outputs(batch.features, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """The signs of the sum of the outputs for both modalities of a pair, one code for both."""
        outputs = [np.tanh(self._outputs(chunk.batch(m).features, m)) for m in MODALITIES]
        return sign(outputs[0] + outputs[1])

    def _outputs(self, features: Features, modality: Modality) -> Array:
        """What the tanh of the student's network gets, (n, bits) in float64, row by row."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        return outputs(features, self.weights_[modality], mean=mean, scale=scale)
