"""LCDH, re-implemented: an offline teacher on CLIP features guides a light student that learns online.

Only the outline is the paper's; every equation is our reconstruction (docs/lcdh.md lists the origin of each).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

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
from bench.methods._online import KEEP_CODES, Array, KeptCodes
from bench.methods._scaling import Scaling, freeze
from bench.methods._student import EPOCHS, HIDDEN, MEMORY, Student
from bench.methods.lcdh.balanced import Balanced
from bench.methods.lcdh.history import Group, History, Signals, UnitRows, strangers
from bench.methods.lcdh.linear import rotated_axes, unit_rows
from bench.methods.lcdh.sgd import Layers
from bench.methods.lcdh.student import ClosedForm, Part, Regressions, descended_codes, signs
from bench.methods.lcdh.teacher import (
    Fusion,
    Recipe,
    Seen,
    Target,
    Teacher,
    content,
    identity,
    project_teacher,
    train_teacher,
)
from bench.methods.lcdh.variants import VARIANTS

POOL = 20_000  # at most this many pairs train a teacher; bounds its time
PART = 2_000  # items coded together
BLOCK = 4_096  # items encoded at a time; bounds memory


class LCDH(Method):
    """Lightweight contrastive distilled hashing, re-implemented: offline CLIP teacher, light online student.

    The codes B of a chunk are chosen so that their similarities to ALL earlier codes match the teacher's
    (lambda1) and the labels' (lambda2), and so that one linear hash function per modality can reproduce them.
    The student, a network per modality, then learns these codes and the labels; the fewer labels there are,
    the less its label head says, and the more items it has seen, the less dropout it needs. Of items all of
    whose classes its pool lacks, the teacher says nothing.
    The teacher sees the run's ``pool``: first_chunk, separate:N, full, or none (no teacher).
    """

    capabilities = Capabilities(
        supervised=True,
        label_free=True,
        partial=True,
        views=("clip",),
        learned_codes=True,
        pool=True,
        forgets=True,
    )
    source = Source(
        paper="Li, Jiang, Ma, Jiang, Fang, Wen: Lightweight Contrastive Distilled Hashing for Online "
        "Cross-modal Retrieval, AAAI 2025, arXiv 2502.19751",
        fidelity="reconstruction",
        note="The outline comes from the abstract; every equation is ours, since neither text nor code was "
        "available.",
    )
    variants = VARIANTS
    varies = ("lambda1", "lambda2", "alpha", "eta", "mu", "iterations", "sweeps", "codes", "gamma", "rate")

    lambda1: float = param(0.3, "weight of the teacher's (offline) similarity", least=0)
    lambda2: float = param(
        1.0, "weight of the online similarity: labels or, for unlabelled items, features", least=0
    )
    alpha: float = param(0.3, "weight of the hash functions in the choice of codes", least=0)
    eta: float = param(0.1, "ridge penalty per item so far", above=0)
    codes: Literal["balanced", "dcc", "teacher"] = param(
        "balanced",
        "balanced: beside a balanced embedding; dcc: bit by bit, against anchors; teacher: the teacher's",
    )
    mu: float = param(0.1, "weight of the rotation from embedding to codes (balanced)", least=0)
    iterations: int = param(2, "updates of codes and hash functions per chunk", least=0)
    sweeps: int = param(2, "sweeps over the bits per update (dcc)", least=1)
    anchors: int = param(1000, "pool items that start the history (dcc); use at least 8 per bit", least=1)
    forget: float = param(1.0, "factor on the weight of older chunks at each new chunk", above=0, most=1)
    student: Literal["hidden", "linear"] = param(
        "hidden", "hash functions: networks that learn codes and labels, or ridge regressions"
    )
    hidden: int = HIDDEN
    epochs: int = EPOCHS
    memory: int = MEMORY
    keep_codes: bool = KEEP_CODES
    solver: Literal["cf", "sgd"] = param(
        "cf", "cf: closed form; sgd: a linear student by gradients through tanh gives the codes"
    )
    rate: float = param(1e-3, "learning rate of Adam (sgd)", above=0)
    gamma: float = param(0.1, "weight of the quantisation loss (sgd)", least=0)
    pin: bool = param(True, "compare a chunk with the history as well as with itself (sgd)")
    warm: bool = param(True, "start from the weights of the previous chunk (sgd)")
    teacher: Literal["trained", "zero"] = param(
        "trained", "trained: on the pool; zero: PCA and ITQ of the pool"
    )
    target: Target = param(
        "clip", "similarity that trains the teacher: of CLIP features, of labels, or the mean of both"
    )
    teacher_epochs: int = param(20, "training epochs of the teacher", least=1)
    teacher_width: int = param(256, "width of the teacher's tokens", least=1)
    heads: int = param(8, "attention heads of the teacher", least=1)
    attention: int = param(1, "attention layers of the teacher", least=0, most=2)
    fusion: Fusion = param(
        "product",
        "tokens: image, text and product; concat: image and text; channels: these as one vector, cut into 2 "
        "heads channels that attend to each other; or one alone",
    )
    contrastive: float = param(0.1, "weight of the teacher's image-text contrastive loss", least=0)
    tau: float = param(0.1, "temperature of the contrastive loss", above=0)
    device: str = param("cpu", "torch device of the teacher")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        self.teacher_: Teacher | None = None
        self.pool_classes_: npt.NDArray[np.bool_] | None = None  # (c,), if items of its pool have labels
        self.axes_: Array | None = None  # projection for the first codes, without a teacher
        self.features_: dict[Modality, Scaling] = {}
        self.history_: History | Balanced = (
            Balanced.empty(self.bits) if self.balanced else History.empty(self.bits)
        )
        self.linear_: ClosedForm | Layers = ClosedForm.new() if self.solver == "cf" else Layers(self.bits)
        self.student_ = Student.new(self.bits, memory=self.memory) if self.student == "hidden" else None
        self.kept_ = KeptCodes.empty(self.bits)
        self._codes: Codes = np.empty((0, self.bits), dtype=np.int8)

    @property
    def balanced(self) -> bool:
        return self.codes == "balanced" and self.solver == "cf"

    def _check(self) -> None:
        if self.teacher_width % self.heads:
            raise ParameterError(
                f"LCDH: teacher_width must be a multiple of heads; got {self.teacher_width} and {self.heads}."
            )
        if self.keep_codes and (self.student != "linear" or self.solver != "cf" or self.forget < 1):
            raise ParameterError(
                "LCDH: keep_codes applies to student=linear, solver=cf and forget=1, where an item can be "
                "subtracted. Set these, or leave it out."
            )

    def fit_pool(self, pool: Split) -> None:
        """Fit and freeze the teacher, then start the history with its codes for some pool items."""
        rows = self._rows(len(pool), POOL, "pool")
        sample = pool if len(rows) == len(pool) else pool.take(rows)
        seen, labels = Seen.of(sample), unit_labels(sample)
        self.pool_classes_ = np.asarray(labels.any(axis=0)) if labels.any() else None
        if self.teacher == "zero":
            self.teacher_ = project_teacher(seen, bits=self.bits, rng=self._generator("teacher"))
        else:
            data = pool.shared.once(("lcdh", "pool", self.seed), partial(content, seen, labels))
            self.teacher_ = self._trained(pool, seen, labels, data)
        freeze(self.features_, sample, pool.shared, self._key("features"))
        self._begin(sample, pool)

    def fit_chunk(self, chunk: Chunk) -> None:
        """Assign codes to the chunk and update the hash functions, in parts of at most 2000 items."""
        first = not self.features_
        freeze(self.features_, chunk, chunk.shared, self._key("features"))
        if first:
            self._begin(chunk, chunk)
        if self.codes == "teacher" and self.teacher_ is None:
            raise ParameterError(
                "LCDH: codes=teacher needs a teacher, but pool=none trains none. Choose another pool."
            )
        self.history_.fade(self.forget)
        ends = np.linspace(0, len(chunk), math.ceil(len(chunk) / PART) + 1).astype(int)
        parts = enumerate(slice(a, b) for a, b in pairwise(ends))
        coded = [self._fit_part(chunk, i, rows) for i, rows in parts]
        self._codes = np.concatenate(coded).astype(np.int8)
        if self.keep_codes:
            self.kept_.add(chunk.ids, self._codes)
        if self.student_ is not None:
            self.student_.fit(chunk, self._codes, hidden=self.hidden, epochs=self.epochs, rng=self.rng)

    def forget_items(self, items: Split) -> None:
        """With ``keep_codes``, subtract items from the hash functions; nothing otherwise. Ours.

        But for rounding, these are then the regressions of the codes of the items that are left. The history,
        from which later codes are chosen, and the teacher keep the items.
        """
        if not self.keep_codes:
            return
        assert isinstance(self.linear_, ClosedForm)
        phis = items.shared.once(self._key("wide", "left"), lambda: widened(self._phis(items)))
        codes = self.kept_.take_out(items.ids)
        for m, function in self.linear_.functions.items():
            key = (*self._key("left"), m)
            function.leave_out(phis[m], codes, eta=self.eta, shared=items.shared, key=key)

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        """Return one modality's hash function before the signs; reads no CLIP, labels or other modality."""
        x = batch.features
        self.require_met(modality, self.features_ if self.student_ is None else self.student_.scaling)
        if self.student_ is not None:
            return self.student_.project(x, modality)
        values = np.zeros((len(x), self.bits))
        for i in range(0, len(x), BLOCK):
            phi = with_ones(self.features_[modality](x[i : i + BLOCK]))
            values[i : i + BLOCK] = self.linear_.project(phi, modality)
        return values

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

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
        """Start the history with codes for some items of ``first``.

        ``source`` is the split that ``first`` was drawn from; its ``shared`` cache serves all cells. Balanced
        codes need no such items, only axes where no teacher gives the codes that the first chunk starts from.
        """
        if self.balanced and self.teacher_ is not None:
            return
        anchors = first.take(self._rows(len(first), self.anchors, "anchors"))
        *_, signals = self._seen(anchors, source.shared, "anchors", self.anchors)
        if signals.taught is None:
            rng = self._generator("axes")
            self.axes_ = rotated_axes(signals.features.array(), self.bits, iterations=0, rng=rng)
        if isinstance(self.history_, History):
            self.history_.add(signals, self._first_codes(signals))

    def _first_codes(self, signals: Signals) -> Array:
        """Codes that do not depend on the history: the teacher's, or randomly rotated principal axes.

        Where the teacher says nothing, they are random.
        """
        if signals.taught is not None:
            codes = signs(signals.taught)
            silent = np.flatnonzero(~signals.taught.any(axis=1))
            codes[silent] = signs(self.rng.standard_normal((len(silent), self.bits)))
            return codes
        assert self.axes_ is not None, "_begin() comes first"
        return signs(signals.features.times(self.axes_))

    # One part of a chunk

    def _fit_part(self, chunk: Chunk, number: int, rows: slice) -> Array:
        narrow, phis, signals = self._seen(chunk.take(rows), chunk.shared, number)
        if self.balanced and self.pool_classes_ is not None:
            signals = signals.untaught(strangers(signals.labels, self.pool_classes_))
        keep = 1.0 if number else self.forget
        part = Part(signals, phis, narrow, chunk.shared, self._key(number), keep)
        if isinstance(self.history_, History):
            return self._compared(part, self.history_, chunk.round)
        return self._embedded(part, self.history_)

    def _embedded(self, part: Part, history: Balanced) -> Array:
        """Codes beside a balanced embedding."""
        signals, weights = part.signals, {"lambda1": self.lambda1, "lambda2": self.lambda2}
        if history.started:
            start = history.started_with(signals, rng=self.rng, **weights)
        else:
            start = self._first_codes(signals)
        regressions = self._regressions(part)
        codes = history.codes(
            signals,
            start,
            regressions,
            alpha=self.alpha,
            mu=self.mu,
            iterations=self.iterations,
            rng=self.rng,
            **weights,
        )
        regressions.keep(codes)
        return codes

    def _regressions(self, part: Part) -> Regressions:
        assert isinstance(self.linear_, ClosedForm)
        return Regressions(self.linear_.functions, part, self.eta)

    def _compared(self, part: Part, history: History, round_: int) -> Array:
        """Codes by comparison with the codes of earlier items, which begin with anchors."""
        if self.lambda2:
            self._welcome(part.signals, history, round_)
        groups = history.groups(part.signals, lambda1=self.lambda1, lambda2=self.lambda2)
        if isinstance(self.linear_, Layers):
            codes = self._by_gradients(part, groups, self.linear_)
        else:
            regressions = self._regressions(part)
            if self.codes == "teacher":
                codes = self._first_codes(part.signals)
            else:
                codes = descended_codes(
                    groups, regressions, alpha=self.alpha, iterations=self.iterations, sweeps=self.sweeps
                )
            regressions.keep(codes)
        history.add(part.signals, codes)
        return codes

    def _by_gradients(self, part: Part, groups: Sequence[Group], layers: Layers) -> Array:
        return layers.fit(
            part,
            groups,
            self.rng,
            lambda1=self.lambda1,
            lambda2=self.lambda2,
            gamma=self.gamma,
            epochs=self.epochs,
            rate=self.rate,
            pin=self.pin,
            warm=self.warm,
        )

    def _welcome(self, signals: Signals, history: History, round_: int) -> None:
        """Add anchors for classes that are new to the history.

        To a history without such a class, all its items are equally unlike everything: they would share one
        code for good.
        """
        rows = history.newcomers(signals)
        if len(rows):
            rows = rows[self._rows(len(rows), self.anchors, "welcome", round_)]
            new = signals.take(rows)
            history.add(new, self._first_codes(new))

    def _phis(self, items: Split) -> dict[Modality, Features]:
        """Return Φ of both modalities; a missing modality gives a zero row, which changes no sum."""
        phis = {}
        for m in MODALITIES:
            batch = items.batch(m)
            if m not in self.features_:
                phis[m] = np.zeros((len(batch), batch.features.shape[1] + 1), np.float32)
                continue
            phis[m] = with_ones(self.features_[m](batch.features))
            phis[m][~batch.present] = 0.0
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
            target=self.target,
            device=self.device,
        )

    # Random draws and cache keys

    def _key(self, *parts: Hashable) -> tuple[Hashable, ...]:
        """Cache key of values that depend on the items so far and on the student's features.

        It includes neither λ nor the code length: cells that differ in these share the value.
        """
        return ("lcdh", *parts, self.seed, self.forget)

    def _generator(self, *purpose: str | int) -> np.random.Generator:
        """Create a generator from the seed and the purpose, independent of earlier draws."""
        return np.random.default_rng([self.seed, *("/".join(map(str, purpose)).encode())])

    def _rows(self, n: int, most: int, *purpose: str | int) -> Rows:
        """Return all n rows, or ``most`` random ones, in order."""
        if n <= most:
            return np.arange(n)
        return np.sort(self._generator(*purpose).choice(n, most, replace=False))


def with_ones(x: Features) -> Features:
    """Φ = [x, 1]."""
    return np.hstack([x, np.ones((len(x), 1), np.float32)])


def unit_labels(items: Split) -> Array:
    """Scale label rows to length 1, (n, c) float64; unlabelled rows are zero."""
    return np.zeros((len(items), 0)) if items.labels is None else unit_rows(items.labels)


def widened(phis: dict[Modality, Features]) -> dict[Modality, Array]:
    """Convert Φ to float64 for sums."""
    return {m: phi.astype(np.float64) for m, phi in phis.items()}
