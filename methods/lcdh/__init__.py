"""LCDH, re-implemented: an offline teacher on CLIP features guides a light student that learns online.

Only the outline is the paper's; every equation is our reconstruction (docs/lcdh.md says which is whose).
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    ContractError,
    Features,
    Method,
    Modality,
    ParameterError,
    Rows,
    Shared,
    Source,
    Split,
    param,
    sign,
)
from bench.methods._online import Array
from bench.methods.lcdh.history import History, Signals, UnitRows
from bench.methods.lcdh.linear import Kernel, Projection, rotated_axes, unit_rows
from bench.methods.lcdh.past import Past
from bench.methods.lcdh.sgd import Networks
from bench.methods.lcdh.student import Choice, ClosedForm, Part, signs
from bench.methods.lcdh.teacher import (
    Fusion,
    Recipe,
    Seen,
    Teacher,
    content,
    identity,
    project_teacher,
    train_teacher,
)
from bench.methods.lcdh.variants import VARIANTS

POOL = 20_000  # pairs a teacher is fitted on at most: more cost time and gain nothing
PART = 2_000  # items coded at once: larger parts, against few anchors, unbalance the bits
BLOCK = 4_096  # items encoded at once; bounds memory
WIDTH = 512  # axes of the student's features where there are more


class LCDH(Method):
    """Lightweight contrastive distilled hashing, re-implemented: offline CLIP teacher, light online student.

    The codes B of a chunk are chosen so that their similarities to ALL earlier codes match the teacher's
    (lambda1) and the labels' (lambda2), and so that one hash function per modality can reproduce them.
    What the teacher sees is the run's ``pool``: first_chunk, separate:N, full, or none (no teacher at all).
    """

    capabilities = Capabilities(
        supervised=True, label_free=True, partial=True, views=("clip",), learned_codes=True, pool=True
    )
    source = Source(
        paper="Li, Jiang, Ma, Jiang, Fang, Wen: Lightweight Contrastive Distilled Hashing for Online "
        "Cross-modal Retrieval, AAAI 2025, arXiv 2502.19751",
        fidelity="reconstruction",
        note="The outline is the abstract's; every equation is ours, as neither text nor code was available.",
    )
    variants = VARIANTS
    varies = ("lambda1", "lambda2", "alpha", "eta", "iterations", "sweeps", "codes", "gamma", "rate")

    lambda1: float = param(1.0, "weight of the teacher's (offline) similarity", least=0)
    lambda2: float = param(
        1.0, "weight of the online similarity: of labels, or of features without them", least=0
    )
    alpha: float = param(0.3, "weight of the hash functions in choosing codes (cf)", least=0)
    eta: float = param(0.1, "ridge penalty per item seen (cf)", above=0)
    iterations: int = param(2, "rounds of codes and hash functions per chunk (cf)", least=0)
    sweeps: int = param(2, "sweeps over the bits in each of them (cf)", least=1)
    codes: Choice = param(
        "dcc", "bit by bit, or signs of what the history wants, of relaxed codes, of the teacher (cf)"
    )
    anchors: int = param(1000, "pool items whose codes the history starts from; at least 8 per bit", least=1)
    welcome: bool = param(True, "give classes that are new to the history anchors of their own")
    forget: float = param(1.0, "what older chunks count after each new one", above=0, most=1)
    student: Literal["linear", "rbf", "mlp"] = param(
        "linear", "features of the hash functions: plain, RBF to items of the first chunk, hidden units (sgd)"
    )
    centres: int = param(500, "RBF centres", least=1)
    hidden: int = param(512, "hidden units of student=mlp", least=1)
    solver: Literal["cf", "sgd"] = param("cf", "closed form, or gradients through tanh")
    epochs: int = param(20, "passes over a chunk (sgd)", least=1)
    rate: float = param(1e-3, "learning rate of Adam (sgd)", above=0)
    gamma: float = param(0.1, "weight of the distance to the rounded codes (sgd)", least=0)
    pin: bool = param(True, "compare a chunk with the history, and not only with itself (sgd)")
    warm: bool = param(True, "go on with the weights of the chunk before (sgd)")
    teacher: Literal["trained", "zero", "past"] = param(
        "trained", "a network trained on the pool; PCA and ITQ of it; trained again on every chunk so far"
    )
    teacher_epochs: int = param(20, "passes over the pool", least=1)
    teacher_width: int = param(256, "width of the teacher's tokens", least=1)
    heads: int = param(8, "attention heads", least=1)
    attention: int = param(1, "attention layers", least=0, most=2)
    fusion: Fusion = param("product", "tokens: image, text and their product; both; or one alone")
    contrastive: float = param(0.1, "weight of the image-text contrastive loss of the teacher", least=0)
    tau: float = param(0.1, "temperature of that loss", above=0)
    device: str = param("cpu", "where torch runs the teacher")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        self.teacher_: Teacher | None = None
        self.past_: Past | None = None
        self.axes_: Array | None = None  # of the first codes, without a teacher
        self.features_: dict[Modality, Projection | Kernel] = {}
        self.history_ = History.empty(self.bits)
        hidden = self.hidden if self.student == "mlp" else 0
        self.student_: ClosedForm | Networks = (
            ClosedForm.new() if self.solver == "cf" else Networks.new(bits=self.bits, hidden=hidden)
        )
        self._codes: Codes = np.empty((0, self.bits), dtype=np.int8)

    def _check(self) -> None:
        if self.teacher_width % self.heads:
            raise ParameterError(
                f"LCDH: teacher_width must be a multiple of heads; got {self.teacher_width} and {self.heads}."
            )
        if self.student == "mlp" and self.solver == "cf":
            raise ParameterError("LCDH: student=mlp has no closed form. Set solver=sgd.")

    def fit_pool(self, pool: Split) -> None:
        """Fit and freeze the teacher, then start the history with its codes of some pool items."""
        rows = self._rows(len(pool), POOL, "pool")
        sample = pool if len(rows) == len(pool) else pool.take(rows)
        seen, labels = Seen.of(sample), unit_labels(sample)
        if self.teacher == "zero":
            self.teacher_ = project_teacher(seen, bits=self.bits, rng=self._generator("teacher"))
        else:
            data = pool.shared.once(("lcdh", "pool", self.seed), partial(content, seen, labels))
            self.teacher_ = self._trained(pool, seen, labels, data)
        self._begin(sample, pool)

    def fit_chunk(self, chunk: Chunk) -> None:
        """Give codes to the items of the chunk and update the hash functions, in parts of at most 2000."""
        if not self.features_:
            self._begin(chunk, chunk)
        if self.codes == "teacher" and self.teacher_ is None:
            raise ParameterError("LCDH: codes=teacher has no teacher where pool=none. Take another pool.")
        if self.past_ is not None:
            self._refit(chunk, self.past_)
        self.history_.fade(self.forget)
        ends = np.linspace(0, len(chunk), math.ceil(len(chunk) / PART) + 1).astype(int)
        parts = enumerate(slice(a, b) for a, b in pairwise(ends))
        coded = [self._fit_part(chunk, i, rows) for i, rows in parts]
        self._codes = np.concatenate(coded).astype(np.int8)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of one modality's hash function; no CLIP, no labels, no other modality enter."""
        phi, x = self.features_[modality], batch.features
        codes = np.empty((len(x), self.bits), dtype=np.int8)
        for i in range(0, len(x), BLOCK):
            codes[i : i + BLOCK] = sign(self.student_.project(phi(x[i : i + BLOCK]), modality))
        return codes

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """The codes B that :meth:`fit_chunk` gave to the pairs of this chunk, one for both modalities."""
        if len(chunk) != len(self._codes):
            raise ContractError(
                f"LCDH has learned codes of the {len(self._codes)} items of the chunk fitted last; asked for "
                f"{len(chunk)}. Call encode_database after fit_chunk, with the same chunk."
            )
        return self._codes

    # The beginning

    def _begin(self, first: Split, whole: Split) -> None:
        """Freeze the student's features on ``first`` and start the history with codes of some of its items.

        ``whole`` is what ``first`` was drawn from: what its cells share is in there.
        """
        for m in MODALITIES:
            fit = partial(self._fit_features, first.batch(m))
            self.features_[m] = whole.shared.once(self._key("features", m), fit)
        anchors = first.take(self._rows(len(first), self.anchors, "anchors"))
        *_, signals = self._seen(anchors, whole.shared, "anchors", self.anchors)
        if signals.taught is None:
            rng = self._generator("axes")
            self.axes_ = rotated_axes(signals.features.array(), self.bits, iterations=0, rng=rng)
        elif self.teacher == "past":
            self.past_ = Past.begin(Seen.of(anchors), self._given_teacher)
        self.history_.add(signals, self._first_codes(signals))

    def _first_codes(self, signals: Signals) -> Array:
        """Codes that owe nothing to the history: the teacher's, else a random turn of the features' axes."""
        if signals.taught is not None:
            return signs(signals.taught)
        assert self.axes_ is not None, "_begin() comes first"
        return signs(signals.features.times(self.axes_))

    def _fit_features(self, batch: Batch) -> Projection | Kernel:
        x = present_rows(batch)
        if self.student == "rbf":
            return Kernel.fit(x, self._rows(len(x), self.centres, "centres"))
        return Projection.fit(x, width=WIDTH)

    # One part of a chunk

    def _fit_part(self, chunk: Chunk, number: int, rows: slice) -> Array:
        narrow, phis, signals = self._seen(chunk.take(rows), chunk.shared, number)
        if self.welcome and self.lambda2:
            self._welcome(signals, chunk.round)
        groups = self.history_.groups(signals, lambda1=self.lambda1, lambda2=self.lambda2)
        keep = 1.0 if number else self.forget
        codes = self._solve(Part(groups, signals, phis, narrow, chunk.shared, self._key(number), keep))
        self.history_.add(signals, codes)
        return codes

    def _solve(self, part: Part) -> Array:
        if isinstance(self.student_, Networks):
            return self.student_.fit(
                part,
                self.rng,
                lambda1=self.lambda1,
                lambda2=self.lambda2,
                gamma=self.gamma,
                epochs=self.epochs,
                rate=self.rate,
                pin=self.pin,
                warm=self.warm,
            )
        return self.student_.fit(
            part,
            alpha=self.alpha,
            eta=self.eta,
            iterations=self.iterations,
            sweeps=self.sweeps,
            choice=self.codes,
        )

    def _welcome(self, signals: Signals, round_: int) -> None:
        """Give classes that are new to the history anchors, as it was begun with some.

        To a history without the class all its items are unlike everything, and equally so: they would
        all get one code, and nothing would ever part them.
        """
        rows = self.history_.newcomers(signals)
        if len(rows):
            rows = rows[self._rows(len(rows), self.anchors, "welcome", round_)]
            new = signals.take(rows)
            self.history_.add(new, self._first_codes(new))

    def _phis(self, items: Split) -> dict[Modality, Features]:
        """Φ of both modalities; rows of zeros, which no sum feels, where an item lacks one."""
        found = {}
        for m in MODALITIES:
            batch = items.batch(m)
            found[m] = self.features_[m](batch.features)
            if batch.absent is not None:
                found[m][batch.absent] = 0.0
        return found

    def _seen(
        self, items: Split, shared: Shared, *name: Hashable
    ) -> tuple[dict[Modality, Features], dict[Modality, Array], Signals]:
        """Φ, in float32 and float64, and signals of the items that are ``name`` among those of ``shared``."""
        narrow = shared.once(self._key("phi", *name), partial(self._phis, items))
        phis = shared.once(self._key("wide", *name), partial(widened, narrow))
        taught = None
        if self.teacher_ is not None:
            key = ("lcdh", "taught", *name, self._recipe(), self.teacher, self.seed)
            taught = shared.once(key, partial(self.teacher_.signal, Seen.of(items)))
        labels = shared.once(("lcdh", "labels", *name), partial(unit_labels, items))
        features = shared.once(self._key("unit", *name), partial(UnitRows.of, narrow.values()))
        return narrow, phis, Signals(taught, labels, features)

    # The teacher

    def _trained(self, items: Split, seen: Seen, labels: Array, data: str) -> Teacher:
        """A teacher, trained once for each (pool, recipe, seed) where the harness has a place to keep it."""
        seed = int(self._generator("teacher").integers(2**63))
        train = partial(train_teacher, seen, labels, recipe=self._recipe(), seed=seed)
        return items.shared.kept(identity(data, self._recipe(), seed), train)

    def _refit(self, chunk: Chunk, past: Past) -> None:
        """Teacher ``past``: trained again on the chunks so far, in the first teacher's coordinates."""
        rng = self._generator("past", chunk.round)
        past.take_in(Seen.of(chunk), unit_labels(chunk), most=POOL, rng=rng)
        sample = past.sample()
        trained = self._trained(chunk, sample, past.labels, content(sample, past.labels))
        self.teacher_ = past.aligned(trained)

    @property
    def _given_teacher(self) -> Teacher:
        assert self.teacher_ is not None
        return self.teacher_

    def _recipe(self) -> Recipe:
        return Recipe(
            bits=self.bits,
            width=self.teacher_width,
            heads=self.heads,
            attention=self.attention,
            fusion=self.fusion,
            epochs=self.teacher_epochs,
            contrastive=self.contrastive,
            tau=self.tau,
            device=self.device,
        )

    # Draws and keys

    def _key(self, *what: Hashable) -> tuple[Hashable, ...]:
        """Of something that depends on the items before and on what the hash functions see of them.

        On neither λ nor the code length, so that cells which differ in these compute it once.
        """
        kind = ("rbf", self.centres) if self.student == "rbf" else ("linear",)
        return ("lcdh", *what, *kind, self.seed, self.forget)

    def _generator(self, *purpose: str | int) -> np.random.Generator:
        """Draws that depend on the seed and their purpose alone, not on what was drawn before."""
        return np.random.default_rng([self.seed, *("/".join(map(str, purpose)).encode())])

    def _rows(self, n: int, most: int, *purpose: str | int) -> Rows:
        """All of n rows, or at most ``most`` of them at random, in order."""
        if n <= most:
            return np.arange(n)
        return np.sort(self._generator(*purpose).choice(n, most, replace=False))


def present_rows(batch: Batch) -> Features:
    """The features of the items that have this modality; of all where none has."""
    if batch.absent is None or batch.absent.all():
        return batch.features
    return batch.features[~batch.absent]


def unit_labels(items: Split) -> Array:
    """Label rows divided by their norm, (n, c) float64: zeros where an item has none."""
    return np.zeros((len(items), 0)) if items.labels is None else unit_rows(items.labels)


def widened(phis: dict[Modality, Features]) -> dict[Modality, Array]:
    """The same values as float64: what sums are made of."""
    return {m: phi.astype(np.float64) for m, phi in phis.items()}
