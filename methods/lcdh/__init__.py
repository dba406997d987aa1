"""LCDH, re-implemented: an offline teacher on CLIP features guides a light student that learns online.

Only the outline is the paper's; every equation is our reconstruction (docs/lcdh.md lists the origin of each).
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
from bench.methods._student import Student
from bench.methods.lcdh.balanced import Balanced
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

POOL = 20_000  # at most this many pairs train a teacher; bounds its time
PART = 2_000  # items coded together: against few anchors, larger parts unbalance the bits
BLOCK = 4_096  # items encoded at a time; bounds memory
WIDTH = 512  # wider student features are projected to this many axes


class LCDH(Method):
    """Lightweight contrastive distilled hashing, re-implemented: offline CLIP teacher, light online student.

    The codes B of a chunk are chosen so that their similarities to ALL earlier codes match the teacher's
    (lambda1) and the labels' (lambda2), and so that one hash function per modality can reproduce them.
    The teacher sees the run's ``pool``: first_chunk, separate:N, full, or none (no teacher).
    """

    capabilities = Capabilities(
        supervised=True, label_free=True, partial=True, views=("clip",), learned_codes=True, pool=True
    )
    source = Source(
        paper="Li, Jiang, Ma, Jiang, Fang, Wen: Lightweight Contrastive Distilled Hashing for Online "
        "Cross-modal Retrieval, AAAI 2025, arXiv 2502.19751",
        fidelity="reconstruction",
        note="The outline comes from the abstract; every equation is ours, since neither text nor code was "
        "available.",
    )
    variants = VARIANTS
    varies = ("lambda1", "lambda2", "alpha", "eta", "iterations", "sweeps", "codes", "gamma", "rate")

    lambda1: float = param(1.0, "weight of the teacher's (offline) similarity", least=0)
    lambda2: float = param(
        1.0, "weight of the online similarity: labels or, for unlabelled items, features", least=0
    )
    alpha: float = param(0.3, "weight of the hash functions in the choice of codes (cf)", least=0)
    eta: float = param(0.1, "ridge penalty per item so far (cf)", above=0)
    iterations: int = param(2, "updates of codes and hash functions per chunk (cf)", least=0)
    mu: float = param(0.1, "weight of the rotation between codes and embedding (codes=balanced)", least=0)
    sweeps: int = param(2, "sweeps over the bits per update (cf)", least=1)
    codes: Choice = param(
        "dcc",
        "balanced: with a balanced embedding; dcc: bit by bit; sign: signs of the pull; relaxed: real codes, rounded; teacher: its codes (cf)",
    )
    anchors: int = param(1000, "pool items that start the history; use at least 8 per bit", least=1)
    welcome: bool = param(True, "add anchors for classes that are new to the history")
    forget: float = param(1.0, "factor on the weight of older chunks at each new chunk", above=0, most=1)
    student: Literal["linear", "rbf", "mlp", "hidden"] = param(
        "linear", "hash functions on plain features; RBF to items of the first chunk; hidden units (sgd only)"
    )
    centres: int = param(500, "RBF centres", least=1)
    hidden: int = param(512, "hidden units of student=mlp", least=1)
    solver: Literal["cf", "sgd"] = param("cf", "cf: closed form; sgd: gradients through tanh")
    memory: int = param(2000, "items kept for the student with hidden units", least=0)
    epochs: int = param(20, "training epochs per chunk (sgd)", least=1)
    rate: float = param(1e-3, "learning rate of Adam (sgd)", above=0)
    gamma: float = param(0.1, "weight of the quantisation loss (sgd)", least=0)
    pin: bool = param(True, "compare a chunk with the history as well as with itself (sgd)")
    warm: bool = param(True, "start from the weights of the previous chunk (sgd)")
    teacher: Literal["trained", "zero", "past"] = param(
        "trained", "trained: on the pool; zero: PCA and ITQ of the pool; past: retrained on all chunks so far"
    )
    teacher_epochs: int = param(20, "training epochs of the teacher", least=1)
    teacher_width: int = param(256, "width of the teacher's tokens", least=1)
    heads: int = param(8, "attention heads of the teacher", least=1)
    attention: int = param(1, "attention layers of the teacher", least=0, most=2)
    fusion: Fusion = param("product", "tokens: image, text and product; concat: image and text; or one alone")
    contrastive: float = param(0.1, "weight of the teacher's image-text contrastive loss", least=0)
    tau: float = param(0.1, "temperature of the contrastive loss", above=0)
    device: str = param("cpu", "torch device of the teacher")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        self.teacher_: Teacher | None = None
        self.past_: Past | None = None
        self.axes_: Array | None = None  # projection for the first codes, without a teacher
        self.features_: dict[Modality, Projection | Kernel] = {}
        self.history_ = History.empty(self.bits)
        self.taught_ = Student.new(self.bits, memory=self.memory)
        self.balanced_ = Balanced.empty(self.bits)
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
            raise ParameterError("LCDH: student=mlp has no closed form; got solver=cf. Set solver=sgd.")

    def fit_pool(self, pool: Split) -> None:
        """Fit and freeze the teacher, then start the history with its codes for some pool items."""
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
        """Assign codes to the chunk and update the hash functions, in parts of at most 2000 items."""
        if not self.features_:
            self._begin(chunk, chunk)
        if self.codes == "teacher" and self.teacher_ is None:
            raise ParameterError(
                "LCDH: codes=teacher needs a teacher, but pool=none trains none. Choose another pool."
            )
        if self.past_ is not None:
            self._refit(chunk, self.past_)
        self.history_.fade(self.forget)
        self.balanced_.fade(self.forget)
        ends = np.linspace(0, len(chunk), math.ceil(len(chunk) / PART) + 1).astype(int)
        parts = enumerate(slice(a, b) for a, b in pairwise(ends))
        coded = [self._fit_part(chunk, i, rows) for i, rows in parts]
        self._codes = np.concatenate(coded).astype(np.int8)
        if self.student == "hidden":
            self.taught_.fit(chunk, self._codes, hidden=self.hidden, epochs=self.epochs, rng=self.rng)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """Return the signs of one modality's hash function; reads no CLIP, labels or other modality."""
        if self.student == "hidden":
            return sign(self.taught_.project(batch.features, modality))
        phi, x = self.features_[modality], batch.features
        codes = np.empty((len(x), self.bits), dtype=np.int8)
        for i in range(0, len(x), BLOCK):
            codes[i : i + BLOCK] = sign(self.student_.project(phi(x[i : i + BLOCK]), modality))
        return codes

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """Return the codes B that :meth:`fit_chunk` assigned to this chunk, one per pair."""
        if len(chunk) != len(self._codes):
            raise ContractError(
                f"LCDH holds codes for the {len(self._codes)} items of the last fitted chunk; got a chunk of "
                f"{len(chunk)}. Call encode_database after fit_chunk, with the same chunk."
            )
        return self._codes

    # Start of the stream

    def _begin(self, first: Split, source: Split) -> None:
        """Freeze the student's features on ``first`` and start the history with codes for some of its items.

        ``source`` is the split that ``first`` was drawn from; its ``shared`` cache serves all cells.
        """
        for m in MODALITIES:
            fit = partial(self._fit_features, first.batch(m))
            self.features_[m] = source.shared.once(self._key("features", m), fit)
        anchors = first.take(self._rows(len(first), self.anchors, "anchors"))
        *_, signals = self._seen(anchors, source.shared, "anchors", self.anchors)
        if signals.taught is None:
            rng = self._generator("axes")
            self.axes_ = rotated_axes(signals.features.array(), self.bits, iterations=0, rng=rng)
        elif self.teacher == "past":
            self.past_ = Past.begin(Seen.of(anchors), self._given_teacher)
        if self.codes != "balanced":
            self.history_.add(signals, self._first_codes(signals))

    def _first_codes(self, signals: Signals) -> Array:
        """Codes that do not depend on the history: the teacher's, or randomly rotated principal axes."""
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
        if self.codes == "balanced":
            return self._fit_balanced(narrow, phis, signals, chunk.shared, number)
        if self.welcome and self.lambda2:
            self._welcome(signals, chunk.round)
        groups = self.history_.groups(signals, lambda1=self.lambda1, lambda2=self.lambda2)
        keep = 1.0 if number else self.forget
        codes = self._solve(Part(groups, signals, phis, narrow, chunk.shared, self._key(number), keep))
        self.history_.add(signals, codes)
        return codes

    def _fit_balanced(
        self,
        narrow: dict[Modality, Features],
        phis: dict[Modality, Array],
        signals: Signals,
        shared: Shared,
        number: int,
    ) -> Array:
        assert isinstance(self.student_, ClosedForm)
        keep = 1.0 if number else self.forget
        key = self._key(number)
        functions = self.student_.functions
        factors = {
            m: f.take_in(phis[m], keep=keep, eta=self.eta, shared=shared, key=(*key, m))
            for m, f in functions.items()
        }
        if self.balanced_.started:
            zero = np.zeros((len(signals.labels), self.bits))
            pull = self.balanced_.pull(signals, zero, zero, lambda1=self.lambda1, lambda2=self.lambda2)
            codes = signs(pull.by_embedding)
        else:
            codes = self._first_codes(signals)
        codes, learned = self.balanced_.fit(
            signals,
            codes,
            functions,
            factors,
            phis,
            narrow,
            lambda1=self.lambda1,
            lambda2=self.lambda2,
            alpha=self.alpha,
            mu=self.mu,
            iterations=self.iterations,
            rng=self.rng,
        )
        for m, function in functions.items():
            function.cross = function.learn(factors[m], phis[m], codes, learned.get(m)).cross
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
        """Add anchors for classes that are new to the history.

        To a history without such a class, all its items are equally unlike everything: they would share one
        code for good.
        """
        rows = self.history_.newcomers(signals)
        if len(rows):
            rows = rows[self._rows(len(rows), self.anchors, "welcome", round_)]
            new = signals.take(rows)
            self.history_.add(new, self._first_codes(new))

    def _phis(self, items: Split) -> dict[Modality, Features]:
        """Return Φ of both modalities; a missing modality gives a zero row, which changes no sum."""
        phis = {}
        for m in MODALITIES:
            batch = items.batch(m)
            phis[m] = self.features_[m](batch.features)
            if batch.absent is not None:
                phis[m][batch.absent] = 0.0
        return phis

    def _seen(
        self, items: Split, shared: Shared, *name: Hashable
    ) -> tuple[dict[Modality, Features], dict[Modality, Array], Signals]:
        """Return Φ, in float32 and float64, and the signals of items cached as ``name`` in ``shared``."""
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
        """Train a teacher, or reuse the stored one with the same data, recipe and seed."""
        seed = int(self._generator("teacher").integers(2**63))
        train = partial(train_teacher, seen, labels, recipe=self._recipe(), seed=seed)
        return items.shared.kept(identity(data, self._recipe(), seed), train)

    def _refit(self, chunk: Chunk, past: Past) -> None:
        """Retrain teacher ``past`` on the chunks so far and align it with the first teacher."""
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

    # Random draws and cache keys

    def _key(self, *parts: Hashable) -> tuple[Hashable, ...]:
        """Cache key of values that depend on the items so far and on the student's features.

        It includes neither λ nor the code length: cells that differ in these share the value.
        """
        kind = ("rbf", self.centres) if self.student == "rbf" else ("linear",)
        return ("lcdh", *parts, *kind, self.seed, self.forget)

    def _generator(self, *purpose: str | int) -> np.random.Generator:
        """Create a generator from the seed and the purpose, independent of earlier draws."""
        return np.random.default_rng([self.seed, *("/".join(map(str, purpose)).encode())])

    def _rows(self, n: int, most: int, *purpose: str | int) -> Rows:
        """Return all n rows, or ``most`` random ones, in order."""
        if n <= most:
            return np.arange(n)
        return np.sort(self._generator(*purpose).choice(n, most, replace=False))


def present_rows(batch: Batch) -> Features:
    """Return the features of the items that have this modality, or of all items if none has."""
    if batch.absent is None or batch.absent.all():
        return batch.features
    return batch.features[~batch.absent]


def unit_labels(items: Split) -> Array:
    """Scale label rows to length 1, (n, c) float64; unlabelled rows are zero."""
    return np.zeros((len(items), 0)) if items.labels is None else unit_rows(items.labels)


def widened(phis: dict[Modality, Features]) -> dict[Modality, Array]:
    """Convert Φ to float64 for sums."""
    return {m: phi.astype(np.float64) for m, phi in phis.items()}
