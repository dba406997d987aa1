"""LCDH, re-implemented: an offline teacher on CLIP features guides a linear student that learns online.

Only the outline is the paper's; every equation is our reconstruction (README.md beside this file).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Source,
    Split,
    param,
    sign,
)
from bench.errors import ContractError, ParameterError
from bench.methods._online import Array
from bench.methods.lcdh.linear import rotated_axes, unit_rows
from bench.methods.lcdh.student import HashFunction, History, Signals, fit_codes, signs
from bench.methods.lcdh.teacher import Recipe, Teacher, project_teacher, train_teacher

POOL = 20_000  # pairs a teacher is fitted on at most: more cost time and gain nothing
PART = 2_000  # items coded at once: larger parts, against few anchors, unbalance the bits
BLOCK = 4_096  # items encoded at once; bounds memory
WIDTH = 512  # axes of the student's features where there are more


class LCDH(Method):
    """Lightweight contrastive distilled hashing, re-implemented: offline CLIP teacher, online linear student.

    The codes B of a chunk are chosen so that their similarities to ALL earlier codes match the teacher's
    (lambda1) and the labels' (lambda2), and so that one ridge regression per modality can reproduce them.
    What the teacher sees is the run's ``pool``: first_chunk, separate:N, full, or none (no teacher at all).
    """

    capabilities = Capabilities(
        supervised=True, label_free=True, views=("clip",), learned_codes=True, pool=True
    )
    source = Source(
        paper="Li, Jiang, Ma, Jiang, Fang, Wen: Lightweight Contrastive Distilled Hashing for Online "
        "Cross-modal Retrieval, AAAI 2025, arXiv 2502.19751",
        fidelity="reconstruction",
        note="The outline is the abstract's; every equation is ours, as neither text nor code was available.",
    )

    lambda1: float = param(1.0, "weight of the teacher's (offline) similarity", least=0)
    lambda2: float = param(
        1.0, "weight of the online similarity: of labels, or of features without them", least=0
    )
    alpha: float = param(0.3, "weight of the hash functions in choosing codes", least=0)
    eta: float = param(0.1, "ridge penalty per item seen", above=0)
    iterations: int = param(2, "rounds of codes and hash functions per chunk", least=0)
    sweeps: int = param(2, "sweeps over the bits in each of them", least=1)
    anchors: int = param(1000, "pool items whose codes the history starts from; at least 8 per bit", least=1)
    teacher: Literal["trained", "zero"] = param(
        "trained", "a trained network, or PCA and ITQ of CLIP features"
    )
    teacher_epochs: int = param(20, "passes over the pool", least=1)
    teacher_width: int = param(256, "width of the teacher's tokens", least=1)
    heads: int = param(8, "attention heads", least=1)
    attention: int = param(1, "attention layers", least=0, most=2)
    contrastive: float = param(0.1, "weight of the image-text contrastive loss of the teacher", least=0)
    tau: float = param(0.1, "temperature of that loss", above=0)
    device: str = param("cpu", "where torch runs the teacher")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher_width % self.heads:
            raise ParameterError(
                f"LCDH: teacher_width must be a multiple of heads; got {self.teacher_width} and {self.heads}."
            )
        self.teacher_: Teacher | None = None
        self.functions_: dict[str, HashFunction] = {}
        self.history_ = History.empty(self.bits)
        self._codes: Codes = np.empty((0, self.bits), dtype=np.int8)

    def fit_pool(self, pool: Split) -> None:
        """Fit and freeze the teacher, then start the history with its codes of some pool items."""
        pool = self._sample(pool, POOL)
        image, text = pool.image.views["clip"], pool.text.views["clip"]
        if self.teacher == "zero":
            self.teacher_ = project_teacher(image, text, bits=self.bits, rng=self.rng)
        else:
            self.teacher_ = train_teacher(image, text, unit_labels(pool), recipe=self._recipe(), rng=self.rng)
        self._begin(pool)

    def fit_chunk(self, chunk: Chunk) -> None:
        """Give codes to the items of the chunk and update the hash functions, in parts of at most 2000."""
        if not self.functions_:
            self._begin(chunk)
        parts = np.array_split(np.arange(len(chunk)), math.ceil(len(chunk) / PART))
        self._codes = np.concatenate([self._fit_part(chunk.take(rows)) for rows in parts])

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of one modality's hash function; no CLIP, no labels, no other modality enter."""
        function, x = self.functions_[modality], batch.features
        codes = np.empty((len(x), self.bits), dtype=np.int8)
        for i in range(0, len(x), BLOCK):
            codes[i : i + BLOCK] = sign(function.project(function.features(x[i : i + BLOCK])))
        return codes

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """The codes B that :meth:`fit_chunk` gave to the pairs of this chunk, one for both modalities."""
        if len(chunk) != len(self._codes):
            raise ContractError(
                f"LCDH has learned codes of the {len(self._codes)} items of the chunk fitted last; asked for "
                f"{len(chunk)}. Call encode_database after fit_chunk, with the same chunk."
            )
        return self._codes

    def _begin(self, first: Split) -> None:
        """Freeze the student's features on ``first`` and start the history with codes of some of its items.

        Without a teacher those codes are a random rotation of the principal axes of the student's features.
        """
        self.functions_ = {m: HashFunction.fit(first.batch(m).features, width=WIDTH) for m in MODALITIES}
        anchors = self._sample(first, self.anchors)
        signals = self._signals(anchors, self._phis(anchors))
        if signals.taught is None:
            axes = rotated_axes(signals.features, self.bits, iterations=0, rng=self.rng)
            codes = signs(signals.features @ axes)
        else:
            codes = signs(signals.taught)
        self.history_.add(signals, codes)

    def _fit_part(self, part: Split) -> Codes:
        phis = self._phis(part)
        signals = self._signals(part, phis)
        codes = fit_codes(
            self.history_.groups(signals, lambda1=self.lambda1, lambda2=self.lambda2),
            [self.functions_[m] for m in MODALITIES],
            phis,
            alpha=self.alpha,
            eta=self.eta,
            iterations=self.iterations,
            sweeps=self.sweeps,
        )
        self.history_.add(signals, codes)
        return codes.astype(np.int8)

    def _phis(self, items: Split) -> list[Array]:
        return [self.functions_[m].features(items.batch(m).features) for m in MODALITIES]

    def _signals(self, items: Split, phis: list[Array]) -> Signals:
        taught = None
        if self.teacher_ is not None:
            taught = self.teacher_.signal(items.image.views["clip"], items.text.views["clip"])
        features = np.hstack([unit_rows(phi[:, :-1]) for phi in phis]) / math.sqrt(len(phis))
        return Signals(taught, unit_labels(items), features)

    def _sample(self, items: Split, most: int) -> Split:
        if len(items) <= most:
            return items
        return items.take(np.sort(self.rng.choice(len(items), most, replace=False)))

    def _recipe(self) -> Recipe:
        return Recipe(
            bits=self.bits,
            width=self.teacher_width,
            heads=self.heads,
            attention=self.attention,
            epochs=self.teacher_epochs,
            contrastive=self.contrastive,
            tau=self.tau,
            device=self.device,
        )


def unit_labels(items: Split) -> Array:
    """Label rows divided by their norm, (n, c) float64: zeros where an item has none."""
    return np.zeros((len(items), 0)) if items.labels is None else unit_rows(items.labels)
