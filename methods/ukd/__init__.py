"""UKD: an unsupervised teacher's nearest neighbours supervise a student; offline, needs no labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from bench.api import MODALITIES, Capabilities, Chunk, Modality, Source, Split, Variant, param
from bench.methods._hash_network import HashNetworks, sample, scaled_inputs
from bench.methods._online import Array


class UKD(HashNetworks):
    """Unsupervised knowledge distillation on fixed features, sized for a CPU.

    The teacher learns from pairs alone (teacher.py). Items that are nearest neighbours in its image or text
    space count as similar (_neighbours.py), and the student learns codes from these similarities as if they
    came from labels (student.py). The features of a modality are centred and divided by ONE number: dividing
    each column by its own deviation would magnify rare words and small components.

    The codes B = sign(F + G) of training serve only the loss, so ``database=learned`` is not available: like
    the authors, it encodes every database item with the network of its modality.

    K is ``neighbours`` times the number of items; set it near the share of relevant pairs. The authors' K of
    10,000 is 0.55 of the 18,015 items of MIRFlickr, where about as large a share of pairs is relevant.
    """

    neighbours: float = param(
        0.2, "number of nearest neighbours that count as similar, as a share of the items", above=0, most=1
    )
    spaces: Literal["both", "image", "text"] = param(
        "both", "teacher spaces in which neighbours are searched; both: either space counts"
    )
    loss: Literal["paper", "released"] = param(
        "paper", "loss of the student; paper: the likelihood; released: as in the authors' code"
    )
    teacher_epochs: int = param(10, "training epochs of the teacher", least=0)
    teacher_hidden: int = param(1024, "hidden units of the teacher", least=1)
    teacher_rate: float = param(1e-3, "learning rate of the teacher (Adam)", above=0)
    decay: float = param(0.01, "weight of the teacher's ½‖θ‖²", least=0)
    epochs: int = param(20, "training epochs of each student network", least=0)
    rate: float = param(3e-3, "learning rate of the student (Adam)", above=0)
    gamma: float = param(1.0, "weight of the student's ‖B - F‖²", least=0)
    batch: int = param(256, "items per batch, for teacher and student", least=2)
    max_train: int = param(15_000, "train on a random sample of at most this many items", least=2)

    capabilities = Capabilities(offline=True)
    source = Source(
        paper="H. Hu, L. Xie, R. Hong, Q. Tian. Creating something from nothing: unsupervised knowledge "
        "distillation for cross-modal hashing. CVPR 2020, arXiv 2004.00280",
        fidelity="adaptation",
        note="As the authors do: a teacher of 128 sigmoids per modality, triplet margin 16, weight decay, "
        "paired positives; items are similar if nearest neighbours in either modality; as in the paper, the "
        "NLL with γ = 1 over two output buffers in turn, B = sign(F + G); with loss=released as in the code, "
        "every term of the likelihood squared, S of 0.999, sign(F) for B; 15,000 training pairs; a database "
        "encoded by the network of its modality. Ours (theirs in brackets): fixed features and one hidden "
        "layer in both student networks (fine-tuned VGG19; multi-scale text network); a teacher 1024 wide "
        "(8192), pre-training only (adversarial rounds follow), by Adam (gradient descent), with all "
        "negatives of a batch (one drawn); K a share of the items (10,000 of 18,015 on MIRFlickr); epochs "
        "and rates.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The released settings that have a parameter here.
        "authors": {
            "neighbours": 0.55,
            "teacher_epochs": 200,
            "teacher_hidden": 8192,
            "epochs": 60,
            "rate": 1e-4,
        },
        "mirflickr": {"neighbours": 0.55},
    }
    varies: ClassVar[tuple[str, ...]] = ("loss", "gamma", "epochs", "hidden", "rate", "spaces", "neighbours")
    variants: ClassVar[Mapping[str, Variant]] = {
        "untrained-teacher": Variant(
            isolates="training of the teacher: its networks stay random", params={"teacher_epochs": 0}
        ),
        "image-neighbours": Variant(isolates="the text space", params={"spaces": "image"}),
        "text-neighbours": Variant(isolates="the image space", params={"spaces": "text"}),
        "no-quantisation": Variant(isolates="‖B - F‖²", params={"gamma": 0.0}),
        "released-loss": Variant(
            isolates="the likelihood: its terms are squared instead", params={"loss": "released"}
        ),
    }

    def _learn(self, chunk: Chunk) -> None:
        key = ("ukd", *self._teacher_settings(), self.spaces, self.neighbours, self._place())
        self.mean_, self.scale_, x, similarity = chunk.shared.once(key, lambda: self._teach(chunk))
        nets = self._networks(x)
        self._distil(x, similarity, nets)
        self._keep(nets)

    def _distil(self, x: Any, similarity: Any, nets: Any, given: Any | None = None) -> None:
        from bench.methods.ukd import student

        student.learn(
            x,
            similarity,
            nets,
            bits=self.bits,
            epochs=self.epochs,
            rate=self.rate,
            loss=self.loss,
            gamma=self.gamma,
            batch=self.batch,
            rng=self.rng,
            place=self._place(),
            given=given,
        )

    def _teach(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """Return mean, scale, features (tensors) and similarity; the same for every code length."""
        mean, scale, x, nets = self._teacher(chunk)
        return mean, scale, x, self._similarity(nets, x)

    def _teacher(self, items: Split) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """Train a teacher on a sample of the items; returns mean, scale, features (tensors) and the teacher.

        It has its own generator, so that training a teacher does not change the student's draws.
        """
        from bench.methods.ukd import teacher

        rows, rng = sample(items, self.max_train, self.seed)
        mean, scale, x = scaled_inputs(items, rows, self._place())
        nets = teacher.learn(
            x,
            hidden=self.teacher_hidden,
            epochs=self.teacher_epochs,
            rate=self.teacher_rate,
            decay=self.decay,
            batch=self.batch,
            rng=rng,
            place=self._place(),
        )
        return mean, scale, x, nets

    def _teacher_settings(self) -> tuple[Any, ...]:
        """Return all settings that determine the teacher, except items and device."""
        training = (self.teacher_epochs, self.teacher_hidden, self.teacher_rate, self.decay)
        return (self.seed, *training, self.batch, self.max_train)

    def _similarity(self, nets: Any, x: Any) -> Any:
        """Return the similarity among the rows of ``x`` in the teacher's selected spaces."""
        from bench.methods._neighbours import Similarity
        from bench.methods.ukd import teacher

        counted = MODALITIES if self.spaces == "both" else (self.spaces,)
        spaces = [teacher.space(nets[m], x[m]) for m in counted]
        return Similarity(spaces, max(1, round(self.neighbours * len(spaces[0]))))
