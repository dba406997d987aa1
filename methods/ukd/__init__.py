"""UKD: an unsupervised teacher's nearest neighbours supervise a student; offline, needs no labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.api import (
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Source,
    param,
    sign,
)
from bench.methods._hash_network import outputs, sample, scaled_inputs
from bench.methods._online import Array


class UKD(Method):
    """Unsupervised knowledge distillation, on fixed features and within the means of a CPU.

    The teacher learns from pairs alone (teacher.py). Items that are near each other in its image
    or its text space are called similar (similarity.py), and the student learns codes from that
    as from labels (student.py). The features of a modality are centred and divided by ONE number:
    dividing every column by its own deviation would magnify rare words and small components.

    Training codes are not database codes here: the authors too encode every database item by the
    network of its modality, so B = sign(F + G) only serves the loss and ``database=learned`` is
    not offered.
    """

    neighbours: float = param(
        0.2, "K of the K nearest neighbours that count as similar, as a share of the items", above=0, most=1
    )
    teacher_epochs: int = param(10, "passes of the teacher over the pairs", least=0)
    teacher_hidden: int = param(1024, "hidden units of the teacher", least=1)
    teacher_rate: float = param(1e-3, "learning rate of the teacher (Adam)", above=0)
    decay: float = param(0.01, "weight of the teacher's ½‖θ‖²", least=0)
    epochs: int = param(20, "passes of the student over the items, for each modality", least=0)
    hidden: int = param(512, "hidden units of the student", least=1)
    rate: float = param(3e-3, "learning rate of the student (Adam)", above=0)
    gamma: float = param(1.0, "weight of the student's ‖B - F‖²", least=0)
    batch: int = param(256, "items in a batch, of the teacher and of the student", least=2)
    max_train: int = param(
        15_000, "train on a random sample of this size where there are more items", least=2
    )
    device: str = param("cpu", "torch device to train on; encoding is NumPy's")

    capabilities = Capabilities(offline=True)
    source = Source(
        paper="H. Hu, L. Xie, R. Hong, Q. Tian. Creating something from nothing: unsupervised knowledge "
        "distillation for cross-modal hashing. CVPR 2020, arXiv 2004.00280",
        fidelity="adaptation",
        note="The authors': a teacher of 128 sigmoids per modality, triplet margin 16, weight decay, paired "
        "positives; similar = a nearest neighbour in either modality; the NLL with γ = 1 over two output "
        "buffers in turns, B = sign(F + G), as the paper has it (the released code squares its two halves); "
        "15,000 training pairs; a database encoded by the network of its modality. Ours: fixed features and "
        "one hidden layer in both student networks (they: fine-tuned VGG19, multi-scale text net); teacher "
        "1024 wide (8192), its pre-training only (no adversarial rounds), by Adam (gradient descent) with "
        "all negatives of a batch (one drawn); K a share of the items (10,000 of 18,015 on MIRFlickr); S of "
        "0 and 1 (0 and 0.999); epochs and rates.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # What of the released settings has a parameter here; hours on a CPU.
        "authors": {
            "neighbours": 0.55,
            "teacher_epochs": 200,
            "teacher_hidden": 8192,
            "epochs": 60,
            "rate": 1e-4,
        }
    }

    def fit_chunk(self, chunk: Chunk) -> None:
        from bench.methods.ukd import student

        settings = (self.seed, self.teacher_epochs, self.teacher_hidden, self.teacher_rate, self.decay)
        key = ("teacher", *settings, self.neighbours, self.batch, self.max_train, self.device)
        self.mean_, self.scale_, x, similarity = chunk.shared.once(key, lambda: self._teach(chunk))
        self.weights_ = student.learn(
            x,
            similarity,
            bits=self.bits,
            hidden=self.hidden,
            epochs=self.epochs,
            rate=self.rate,
            gamma=self.gamma,
            batch=self.batch,
            rng=self.rng,
        )

    def _teach(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """What no code length changes: location and scale, the features (tensors), and who is near whom.

        Draws come from a generator of its own, so that a student draws the same with or without it.
        """
        from bench.methods._neighbours import Similarity
        from bench.methods.ukd import teacher

        rows, rng = sample(chunk, self.max_train, self.seed)
        mean, scale, x = scaled_inputs(chunk, rows, self.device)
        spaces = teacher.learn(
            x,
            hidden=self.teacher_hidden,
            epochs=self.teacher_epochs,
            rate=self.teacher_rate,
            decay=self.decay,
            batch=self.batch,
            rng=rng,
        )
        return mean, scale, x, Similarity(spaces, max(1, round(self.neighbours * len(rows))))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of the student's outputs."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        weights = self.weights_[modality]
        return sign(outputs(batch.features, weights, mean=mean, scale=scale))
