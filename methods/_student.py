"""A light student with hidden units: one network per modality that learns codes and labels chunk by chunk.

Ours, no paper's. The trap: weights and dropout must be drawn from the method's generator, not torch's own.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Features, Modality, Split, State, param, passes
from bench.methods._online import Array, RunningGram, blocks, dot
from bench.methods._rehearsal import Memory
from bench.methods._scaling import Scaling, freeze

BATCH = 128  # pairs per step
RATE, DECAY = 2e-3, 1e-2  # of AdamW
DROP = 0.5  # share of the inputs and of the hidden units that a step leaves out, while items are few
FEW = 2500  # items; once more have been seen, the share falls with the square of their number
SURE = 0.5  # of log 2: a loss per bit of new codes up to this raises no doubt,
UNSURE = 0.75  # and one from this full doubt
SPARED = 0.75  # share of the epochs that full doubt leaves out
ASKED = 2000  # new items, at the most, that the loss is the mean of

# Parameters of methods that offer the student.
HIDDEN: Any = param(512, "hidden units (student=hidden)", least=1)
EPOCHS: Any = param(20, "training epochs per chunk (student=hidden)", least=1)
MEMORY: Any = param(2000, "earlier items that every chunk is trained with (student=hidden)", least=0)


class Student(State):
    """``relu(x V + a) W + b`` per modality: ``bits`` logits of the code, then a logit for every label.

    Every chunk is learned together with ``memory``, a uniform sample of earlier items and their codes. The
    code of an item is ``sign(tanh(l/2) + s σ(m) K)``, with logits l of its code and m of its labels; K (c, k)
    is the ridge regression of all codes so far on their labels, and s the share of items with labels.
    Dropout is DROP for the first FEW items and falls with the square of their number after that. Where the
    codes of new items surprise the network in every round, as they do with wrong labels, it stays, and epochs
    are fewer, so that less is learned by heart.
    """

    bits: int
    memory: Memory
    scaling: dict[Modality, Scaling]
    layers: dict[Modality, list[Features]]  # V (d, h), a (h,), W (h, k + c), b (k + c,)
    surprise: dict[Modality, float]  # the least loss on new codes, before they were learned; 0 at first
    gram: RunningGram  # of the labels
    cross: Array | float = 0.0  # the sum of labelsᵀ codes, (c, k)
    seen: int = 0
    spread: Array | None = None  # s K

    @classmethod
    def new(cls, bits: int, *, memory: int) -> Self:
        return cls(bits, Memory.empty(memory), {}, {}, {m: 0.0 for m in MODALITIES}, RunningGram())

    def fit(
        self, items: Split, codes: npt.NDArray[Any], *, hidden: int, epochs: int, rng: np.random.Generator
    ) -> None:
        """Learn codes (n, bits), -1 or +1, and the labels of some items, where they have any."""
        labels = np.zeros((len(items), 0), np.uint8) if items.labels is None else items.labels
        if not self.layers:
            self._start(items, labels.shape[1], hidden, rng)
        self._learn_labels(labels, codes)
        new: dict[str, npt.NDArray[Any]] = {"codes": codes.astype(np.int8), "labels": labels}
        for m in MODALITIES:
            batch = items.batch(m)
            new[m] = batch.features
            new[f"{m} present"] = batch.present
        rows = self.memory.before(new)
        few = min(1.0, FEW / self.seen) ** 2
        doubt = {m: (1.0 - few) * self._doubt(new, m) for m in MODALITIES}
        freeze(self.scaling, items, items.shared, ("student",))
        for m in MODALITIES:
            if m not in self.scaling:
                continue
            present = rows[f"{m} present"]
            x = self.scaling[m](rows[m][present])
            targets = rows["codes"][present], rows["labels"][present]
            drop = DROP * (few + doubt[m])
            kept = round(epochs * (1.0 - SPARED * doubt[m]))
            self.layers[m] = train(self.layers[m], x, *targets, epochs=kept, drop=drop, rng=rng)
        self.memory.add(new, rng)

    def _start(self, items: Split, classes: int, hidden: int, rng: np.random.Generator) -> None:
        for m in MODALITIES:
            self.layers[m] = start(items.batch(m).features.shape[1], hidden, self.bits + classes, rng)

    def _learn_labels(self, labels: npt.NDArray[Any], codes: npt.NDArray[Any]) -> None:
        rows = labels.any(axis=1)
        self.seen += len(labels)
        if rows.any():
            self.gram.add(labels[rows])
            self.cross = self.cross + dot(labels[rows].T, codes[rows])
        if self.gram.n:
            self.spread = self.gram.n / self.seen * self.gram.factor(1.0).solve(np.asarray(self.cross))

    def _doubt(self, new: dict[str, npt.NDArray[Any]], m: Modality) -> float:
        """From 0 to 1: how much the codes of new items have surprised the network of a modality all along.

        The least loss of all rounds decides, because wrong labels surprise in every round, and a shift of
        topics or a new class in some. Items of classes that no remembered item has do not count, nor do
        rounds with few others.
        """
        if m in self.scaling and len(self.memory):
            strange = ~self.memory.rows["labels"].any(axis=0)
            rows = np.flatnonzero(new[f"{m} present"] & ~new["labels"][:, strange].any(axis=1))
            if len(rows) >= BATCH:
                rows = rows[:: -(-len(rows) // ASKED)]
                logits = self._logits(new[m][rows], m)[:, : self.bits]
                loss = float(np.logaddexp(0.0, -logits * new["codes"][rows]).mean()) / math.log(2)
                self.surprise[m] = min(loss, self.surprise[m] or loss)
        return min(max((self.surprise[m] - SURE) / (UNSURE - SURE), 0.0), 1.0)

    def _logits(self, x: npt.NDArray[Any], m: Modality) -> Array:
        """The outputs (n, bits + c) of the network for features (n, d)."""
        v, a, w, b = self.layers[m]
        return dot(np.maximum(dot(self.scaling[m](x), v) + a, 0.0), w) + b

    def project(self, x: Features, modality: Modality) -> Array:
        """The real-valued codes (n, bits) of features (n, d), in float64, each row on its own."""
        codes = np.zeros((len(x), self.bits))
        done = 0
        for (rows,) in blocks(x):
            out = self._logits(rows, modality)
            part = np.tanh(out[:, : self.bits] / 2)
            if self.spread is not None:
                part += dot(0.5 + 0.5 * np.tanh(out[:, self.bits :] / 2), self.spread)
            codes[done : done + len(rows)] = part
            done += len(rows)
        return codes


def start(width: int, hidden: int, outputs: int, rng: np.random.Generator) -> list[Features]:
    """Random weights of variance 2 / inputs and 1 / hidden, normal; biases are 0."""
    first = rng.standard_normal((width, hidden)) * (2.0 / width) ** 0.5
    last = rng.standard_normal((hidden, outputs)) / hidden**0.5
    return [array.astype(np.float32) for array in (first, np.zeros(hidden), last, np.zeros(outputs))]


def train(
    layers: list[Features],
    x: Features,
    codes: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    *,
    epochs: int,
    drop: float,
    rng: np.random.Generator,
) -> list[Features]:
    """Train one network with AdamW (Loshchilov and Hutter, ICLR 2019) on binary cross-entropy of both heads.

    ``x`` (n, d), ``codes`` (n, k), ``labels`` (n, c). Rows without labels do not train the label head.
    Every step leaves out a share ``drop`` of the inputs and of the hidden units.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    inputs, wanted, known = (torch.from_numpy(np.asarray(y, np.float32)) for y in (x, codes > 0, labels))
    labelled = known.any(dim=1, keepdim=True).float()
    bits, classes = codes.shape[1], labels.shape[1]
    v, a, w, b = weights = [torch.from_numpy(layer.copy()).requires_grad_() for layer in layers]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY, fused=True)
    dice = torch.Generator().manual_seed(int(rng.integers(2**63)))

    def dropped(t: Any) -> Any:
        return t * torch.empty_like(t).bernoulli_(1 - drop, generator=dice) / (1 - drop)

    for _ in passes("student", epochs if len(x) else 0):
        for batch in np.array_split(rng.permutation(len(x)), -(-len(x) // BATCH)):
            rows = torch.from_numpy(batch)
            out = dropped((dropped(inputs[rows]) @ v + a).relu()) @ w + b
            loss = entropy(out[:, :bits], wanted[rows])
            if classes:
                loss = loss + entropy(out[:, bits:], known[rows], weight=labelled[rows].expand(-1, classes))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [weight.detach().numpy() for weight in weights]
