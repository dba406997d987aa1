"""CKDH, re-implemented: distils a supervised teacher of CLIP images and text graphs; offline.

Only the outline is the paper's; every equation is our reconstruction (see README.md in this folder).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.api import (
    MODALITIES,
    Capabilities,
    Chunk,
    Codes,
    Modality,
    ParameterError,
    Rows,
    Source,
    Split,
    Variant,
    param,
    sign,
)
from bench.methods._hash_network import HashNetworks, location_and_scale, sample, scaled_inputs
from bench.methods._online import Array

if TYPE_CHECKING:
    from bench.methods._network import Place


class CKDH(HashNetworks):
    """CLIP-based knowledge distillation hashing, re-implemented on fixed features.

    The teacher sees CLIP features of the images, bags of words and labels (teacher.py). The student sees the
    plain features of both modalities and imitates the teacher's similarities (student.py). Only the student
    encodes; the learned code of a database item is the sign of the sum of the student's two outputs.
    """

    GAIN = 1.0  # small initial outputs, so that tanh is not saturated

    lambda1: float = param(1.0, "weight of similarities within a modality in the teacher's loss", least=0)
    lambda2: float = param(1.0, "weight of similarities across modalities in the teacher's loss", least=0)
    gamma: float = param(0.1, "weight of the quantisation loss, for teacher and student", least=0)
    neighbours: int = param(10, "other texts that a text of the teacher attends to", least=0)
    adapter: bool = param(True, "adapt CLIP features in the teacher; false: feed them to one layer directly")
    heads: int = param(4, "attention heads of the teacher's text branch", least=1)
    width: int = param(64, "units per attention head", least=1)
    likelihood: float = param(1.0, "share of the log-likelihood in the distilled similarity", least=0)
    within: float = param(1.0, "share of cosines within modalities in the distilled similarity", least=0)
    across: float = param(1.0, "share of cosines across modalities in the distilled similarity", least=0)
    teacher_epochs: int = param(10, "training epochs of the teacher", least=0)
    teacher_rate: float = param(1e-3, "learning rate of the teacher (Adam); its adapter: a tenth", above=0)
    epochs: int = param(20, "training epochs of the student", least=0)
    rate: float = param(1e-3, "learning rate of the student (Adam)", above=0)
    batch: int = param(128, "pairs per batch, for teacher and student", least=2)
    max_train: int = param(15_000, "train on a random sample of at most this many pairs", least=2)

    capabilities = Capabilities(supervised=True, views=("clip",), offline=True, learned_codes=True)
    source = Source(
        paper="J. Li, W. K. Wong, L. Jiang, X. Fang, S. Xie, Y. Xu. CKDH: CLIP-based knowledge distillation "
        "hashing for cross-modal retrieval. IEEE TCSVT 34 (2024) 6530-6541",
        fidelity="reconstruction",
        note="From the abstract: CLIP for images and a graph attention network over bags of words in the "
        "teacher; a similarity that preserves log-likelihood, intra- and inter-modality similarities; a "
        "lightweight student under its supervision. Ours, since neither text nor code was available: every "
        "equation, width, weight, rate and number of epochs; a residual adapter on fixed CLIP features "
        "where they fine-tune CLIP; the 10 nearest texts as neighbours, within the batch while the teacher "
        "learns and among all training items when it hands its knowledge on.",
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Widths and rates that are usual for such networks on a GPU.
        "large": {
            "width": 256,
            "hidden": 4096,
            "teacher_epochs": 30,
            "teacher_rate": 1e-4,
            "epochs": 50,
            "rate": 1e-4,
        }
    }
    varies: ClassVar[tuple[str, ...]] = (
        "lambda1",
        "lambda2",
        "gamma",
        "likelihood",
        "within",
        "across",
        "epochs",
        "rate",
    )
    variants: ClassVar[Mapping[str, Variant]] = {
        "untrained-teacher": Variant(
            isolates="training of the teacher: its networks stay random", params={"teacher_epochs": 0}
        ),
        "no-intra": Variant(isolates="L_intra of the teacher", params={"lambda1": 0.0}),
        "no-inter": Variant(isolates="L_inter of the teacher", params={"lambda2": 0.0}),
        "no-attention": Variant(
            isolates="the text graph: attention to other texts", params={"neighbours": 0}
        ),
        "no-adapter": Variant(isolates="adapter of the CLIP features", params={"adapter": False}),
        "knowledge-without-likelihood": Variant(
            isolates="2σ(θ) - 1 in the distilled similarity", params={"likelihood": 0.0}
        ),
        "knowledge-without-within": Variant(
            isolates="cosines within modalities in the distilled similarity", params={"within": 0.0}
        ),
        "knowledge-without-across": Variant(
            isolates="cosines across modalities in the distilled similarity", params={"across": 0.0}
        ),
        "no-quantisation": Variant(isolates="L_q of teacher and student", params={"gamma": 0.0}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.likelihood + self.within + self.across > 0:
            raise ParameterError(
                f"{type(self).__name__}: likelihood, within and across are all 0; expected at least one "
                "above 0. Set one of them to 1."
            )

    def _learn(self, chunk: Chunk) -> None:
        key = ("ckdh", self.seed, self.max_train, self._place())
        self.mean_, self.scale_, items = chunk.shared.once(key, lambda: self._items(chunk))
        taught = self._taught(self._teacher(items), items)
        nets = self._networks(items["inputs"])
        self._distil(items["inputs"], taught, nets)
        self._keep(nets)

    def _teacher(self, items: Mapping[str, Any]) -> tuple[Any, Any]:
        """Train the teacher; returns its networks for images and texts."""
        from bench.methods.ckdh import teacher

        return teacher.learn(
            items,
            self._image_net(items),
            bits=self.bits,
            neighbours=self.neighbours,
            heads=self.heads,
            width=self.width,
            epochs=self.teacher_epochs,
            rate=self.teacher_rate,
            weights=(self.lambda1, self.lambda2, self.gamma),
            batch=self.batch,
            rng=self.rng,
            place=self._place(),
        )

    def _image_net(self, items: Mapping[str, Any]) -> Any:
        """The teacher's untrained network for images."""
        from bench.methods.ckdh.teacher import Adapter

        width = items["clip"].shape[1]
        return Adapter(width, self.bits, adapts=self.adapter, rng=self.rng, place=self._place())

    def _taught(self, nets: tuple[Any, Any], items: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the teacher's outputs F^I and F^T for the ``clip``, ``text`` and ``words`` of n items."""
        from bench.methods.ckdh import teacher

        texts = teacher.of_texts(nets[1], items["text"], items["words"], self.neighbours)
        return teacher.of_images(nets[0], items["clip"]), texts

    def _distil(self, x: Any, taught: tuple[Any, Any], nets: Any, given: Any | None = None) -> None:
        from bench.methods.ckdh import student

        student.learn(
            x,
            taught,
            nets,
            views=(self.likelihood, self.within, self.across),
            epochs=self.epochs,
            rate=self.rate,
            gamma=self.gamma,
            batch=self.batch,
            rng=self.rng,
            given=given,
        )

    def _items(self, items: Split) -> tuple[dict[Modality, Array], dict[Modality, float], dict[str, Any]]:
        """Prepare the training items as tensors, with mean and scale; the same for every code length.

        ``clip place`` holds the mean and scale of the CLIP features. Cells share the sample, so it is not
        drawn with the method's own generator.
        """
        place = self._place()
        rows, _ = sample(items, self.max_train, self.seed)
        assert items.labels is not None, "CKDH is supervised"
        mean, scale, inputs = scaled_inputs(items, rows, place)
        tensors = {
            "inputs": inputs,
            "text": inputs["text"],
            "labels": place.tensor(items.labels[rows]),
            "words": place.tensor(items.text.features[rows]),
            **self._seen_by_teacher(items, rows, place),
        }
        return mean, scale, tensors

    def _seen_by_teacher(self, items: Split, rows: Rows, place: Place) -> dict[str, Any]:
        """The teacher's input of the images, ``clip``."""
        clip = items.image.views["clip"][rows]
        centre, spread = location_and_scale(clip)
        return {"clip": place.tensor((clip - centre) / spread), "clip place": (centre, spread)}

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """Return the signs of the sum of both modalities' outputs: one code per pair."""
        outputs = [np.tanh(self._outputs(chunk.batch(m).features, m)) for m in MODALITIES]
        return sign(outputs[0] + outputs[1])
