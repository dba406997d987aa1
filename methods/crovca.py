"""CroVCA: two views of an item agree bit by bit, and the batch fills the code space; with or without labels.

The trap: batch normalisation depends on the batch in training; codes are hashed with its running averages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Capabilities, Chunk, Features, Modality, Source, Variant, param, passes
from bench.methods._stream_network import StreamNetworks

_MOMENTUM, _ROUNDING = 0.1, 1e-5  # of batch normalisation
_VOLUME = 0.05  # ε of the coding rate
_LAST_RATE = 1e-6
Rows = npt.NDArray[np.bool_]


class CroVCA(StreamNetworks):
    """Cross-view code alignment of Moummad et al., with image and text as the two views.

    A network per modality, with batch normalisation of its outputs, gives logits a and b (n, r). It lowers

        ½ Σ entropy(a, 1[b > 0]) over both orders  -  balance · mean over both of
            (r + n) / (r n) · ½ log det(I + r / (n ε) ÃᵀÃ),   Ã = a with rows of length 1, ε = 0.05

    With labels, an item's target in both views is 1[m > 0], where m is the mean of its classes' means, over
    the logits of both views in the batch. Items that lack a modality train the other one's coding rate and,
    with labels, its targets.
    """

    labels: bool = param(True, "use labels where there are any; off: targets are the other view's bits")
    balance: float = param(0.1, "weight of the coding rate", least=0)
    epochs: int = param(5, "training epochs per chunk", least=0)
    rate: float = param(1e-3, "learning rate (AdamW), by a cosine to 1e-6 in every chunk", above=0)
    decay: float = param(0.01, "weight decay (AdamW)", least=0)
    batch: int = param(256, "items per batch", least=2)

    capabilities = Capabilities(supervised=True, label_free=True, partial=True)
    source = Source(
        paper="I. Moummad, K. Zaher, H. Goëau, A. Joly. Cross-view code alignment (CroVCA, HashCoder). arXiv "
        "2510.27584, 2025",
        fidelity="adaptation",
        note="The original hashes images, and its views are two augmentations of one; views that are "
        "modalities, with a network each, and chunks that go on from the last weights are our "
        "reconstruction. Losses follow the released code, ilyassmoummad/cross-view-code-alignment (no "
        "licence seen, so only described and written anew), and equal our transcription of it on fixed "
        "inputs; the program was not run. Ours (theirs in brackets): 512 hidden units (as many as "
        "features), float32 (fp16), the harness's normal weights (truncated, 0.02), no batch is "
        "dropped. Not ported: their scores, which compare real-valued queries with codes (sigmoid, L1) "
        "and are no Hamming distances.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"authors": {"labels": False}}
    varies = ("labels", "balance", "epochs", "rate", "decay", "hidden")
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-labels": Variant(isolates="labels", params={"labels": False}),
        "no-balance": Variant(isolates="the coding rate", params={"balance": 0.0}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.layers_: dict[Modality, list[Features]] = {}  # weights before normalisation
        self.norm_: dict[Modality, list[Features]] = {}  # gain, bias, running mean and variance, (r,) each

    def _learn(self, chunk: Chunk) -> None:
        import torch

        from bench.methods._network import batches

        here = {m: chunk.batch(m).present for m in MODALITIES}
        views = {m: self._view(chunk, m, here[m]) for m in MODALITIES if here[m].any()}
        labels = self._place().tensor(self._known(chunk))
        parameters = [p for view in views.values() for p in view.parameters]
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, weight_decay=self.decay, fused=True)
        parts = -(-len(chunk) // self.batch)
        slope = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, max(self.epochs * parts, 1), eta_min=min(_LAST_RATE, self.rate)
        )
        for _ in passes("training", self.epochs):
            for rows in batches(len(chunk), self.batch, self.rng):
                own = {m: here[m][rows] for m in views}
                logits = {m: view(rows[own[m]]) for m, view in views.items() if own[m].sum() > 1}
                if not logits:
                    continue
                optimizer.zero_grad()
                self._loss(logits, own, labels[rows]).backward()
                optimizer.step()
                slope.step()
        for m, view in views.items():
            self.layers_[m], self.norm_[m] = view.net.arrays(), view.norm()
            self.weights_[m] = folded(self.layers_[m], self.norm_[m])

    def _known(self, chunk: Chunk) -> npt.NDArray[Any]:
        """The labels (n, c) to learn from; (n, 0) without any."""
        known = chunk.labels if self.labels else None
        return np.zeros((len(chunk), 0), np.uint8) if known is None else known

    def _view(self, chunk: Chunk, m: Modality, rows: npt.NDArray[np.bool_]) -> View:
        x = chunk.batch(m).features
        if m not in self.mean_:
            self._tensor(x[rows], m)  # fixes the scaling by the items that have the modality
        inputs = self._tensor(x, m)
        start = [np.ones(self.bits), np.zeros(self.bits), np.zeros(self.bits), np.ones(self.bits)]
        nets = self._networks_of({m: self.layers_[m]}) if m in self.layers_ else self._networks({m: inputs})
        return View(nets[m], inputs, [self._place().tensor(part) for part in self.norm_.get(m, start)])

    def _loss(self, logits: Mapping[Modality, Any], own: Mapping[Modality, Rows], labels: Any) -> Any:
        """The loss of one batch: ``own`` marks which of its items each view has."""
        import torch

        total = -self.balance * sum(coding_rate(a) for a in logits.values()) / len(logits)
        views, known = list(logits), {m: labels[own[m]] for m in logits}
        if labels.shape[1]:
            wanted = class_targets([logits[m] for m in views], [known[m] for m in views])
            entropies = [
                agreement(logits[m][y.any(dim=1)], target[y.any(dim=1)])
                for m, target, y in zip(views, wanted, known.values(), strict=True)
                if y.any()
            ]
            total = total + sum(entropies) / max(len(entropies), 1)
        if len(views) == 2:  # pairs without labels: the other view's bits
            both = {m: torch.from_numpy((own[views[0]] & own[views[1]])[own[m]]) for m in views}
            a, b = (logits[m][both[m].to(labels.device)] for m in views)
            free = ~known[views[0]][both[views[0]].to(labels.device)].any(dim=1)
            if free.any():
                a, b = a[free], b[free]
                total = total + (agreement(a, b > 0) + agreement(b, a > 0)) / 2
        return total


class View:
    """A network in training with batch normalisation: ``norm`` is gain, bias, running mean and variance."""

    def __init__(self, net: Any, inputs: Any, norm: list[Any]) -> None:
        self.net, self.inputs = net, inputs
        self.gain, self.bias = (part.requires_grad_() for part in norm[:2])
        self.mean, self.variance = norm[2:]
        self.parameters = [*net.parameters, self.gain, self.bias]

    def __call__(self, rows: npt.NDArray[np.intp]) -> Any:
        """Return the logits (n, r) of these rows, and move the running averages."""
        from torch.nn.functional import batch_norm

        out = self.net(self.inputs[rows])
        return batch_norm(out, self.mean, self.variance, self.gain, self.bias, True, _MOMENTUM, _ROUNDING)

    def norm(self) -> list[Features]:
        parts = (self.gain, self.bias, self.mean, self.variance)
        return [part.detach().cpu().numpy() for part in parts]


def folded(layers: list[Features], norm: list[Features]) -> list[Features]:
    """The layers W₁, b₁, W₂, b₂ with the normalisation by running averages inside the last one."""
    gain, bias, mean, variance = norm
    factor = gain / np.sqrt(variance + _ROUNDING)
    return [layers[0], layers[1], layers[2] * factor, (layers[3] - mean) * factor + bias]


def agreement(logits: Any, wanted: Any) -> Any:
    """Return the binary cross-entropy of logits (n, r) and bits wanted (n, r), which have no gradient."""
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    return entropy(logits, wanted.to(logits.dtype))


def coding_rate(logits: Any) -> Any:
    """(r + n) / (r n) · ½ log det(I + r / (n ε) ÃᵀÃ) of logits (n, r): large where codes fill their space."""
    import torch

    from bench.methods._hash_network import unit

    n, r = logits.shape
    a = unit(logits)
    volume = torch.logdet(torch.eye(r, dtype=a.dtype, device=a.device) + r / (n * _VOLUME) * a.T @ a)
    return (r + n) / (r * n) * volume / 2


def class_targets(logits: list[Any], labels: list[Any]) -> list[Any]:
    """Bits (n, r) wanted of each view's items: signs of the mean of their classes' mean logits.

    Means of a class run over the items of all views; ``labels`` are (n, c) per view.
    """
    counts = sum(y.sum(dim=0) for y in labels)
    means = sum(y.T @ a.detach() for a, y in zip(logits, labels, strict=True)) / counts.clamp_min(1)[:, None]
    return [y @ means > 0 for y in labels]
