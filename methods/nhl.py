"""NHL: codes of many lengths from one training; a short code is the first bits of the long one.

The trap: what is good for the long code may harm the short one, which is part of it. Lengths whose gradients
oppose a shorter one's count less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bench.api import (
    MODALITIES,
    Capabilities,
    Chunk,
    Features,
    Modality,
    Source,
    Variant,
    param,
    passes,
)
from bench.methods._codes import normalise_labels
from bench.methods._likeness import likeness_error
from bench.methods._online import Array
from bench.methods._stream_network import StreamNetworks

_SHORTEST = 8
Learned = tuple[dict[Modality, Any], dict[Modality, Any], dict[Modality, list[Features]]]


class NHL(StreamNetworks):
    """Nested hash layer of arXiv 2412.08922 on fixed features: the code of k bits is the first k outputs.

    One network per modality has ``longest`` outputs tanh(·), z (n, longest). With the lengths k = 8, 16, ...
    up to ``longest``, like the cosines of label rows, and z_k the first k columns, it lowers Σ_k w_k loss_k,

        loss_k = mean of (relu cos(z_k,i, z_k,j) - like_ij)² + quantise · mean (|z_k| - 1)²

    with the first mean over pairs of image and text, two images and two texts.

    In every batch the weights w_k of the lengths come from g_k, the gradient of loss_k in the last layer: see
    :func:`balance`. All code lengths of a run are learned once and share the result.
    """

    longest: int = param(128, "length of the longest code; all others up to it are its first bits", least=8)
    adaptive: bool = param(True, "weigh lengths by their gradients; off: all alike")
    quantise: float = param(0.1, "weight of outputs near -1 and 1", least=0)
    epochs: int = param(20, "training epochs per chunk", least=0)
    rate: float = param(1e-3, "learning rate (Adam)", above=0)
    batch: int = param(128, "pairs per batch", least=2)

    capabilities = Capabilities(supervised=True)
    source = Source(
        paper="Nested hash layer (NHL): codes of variable length from one training. arXiv 2412.08922, 2024",
        fidelity="adaptation",
        note="The nested layer and the weights of lengths follow the released code, hly1998/NHL (no licence "
        "seen, so only described and written anew), as our specification has it; no fixed values of the "
        "authors' were available to compare with, and the program was not run. As in the code, the room "
        "for opposing gradients is measured by the gradient of the shortest length, whichever shorter "
        "length is concerned. The original hashes images and wraps the loss of another method; the loss "
        "here, on label likeness within and between modalities, is ours, as are fixed features, a hidden "
        "layer of 512, chunks that go on from the last weights, and one training for all code lengths of "
        "a run. On Wiki no length opposed a shorter one, so that all weights were 1. Left out: distillation "
        "from long to short codes, which the specification lacks. No figure of theirs could be read.",
    )
    variants: ClassVar[Mapping[str, Variant]] = {
        "alike": Variant(isolates="weights of lengths by their gradients", params={"adaptive": False}),
        "no-quantisation": Variant(isolates="outputs near -1 and 1", params={"quantise": 0.0}),
    }

    @property
    def _length(self) -> int:
        """Outputs of the networks: a code of more bits than ``longest`` is trained on its own."""
        return max(self.longest, self.bits)

    def _learn(self, chunk: Chunk) -> None:
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "bits"}
        key = ("nhl", self._length, *own.items())
        self.mean_, self.scale_, self.weights_ = chunk.shared.once(key, lambda: self._train(chunk))

    def _train(self, chunk: Chunk) -> Learned:
        """Train the networks of all lengths; ``self.rng``, which is a cell's own, gives no random number."""
        import torch

        from bench.methods._network import batches

        assert chunk.labels is not None, "supervised methods always receive labels"
        rng = np.random.default_rng([self.seed, chunk.round])
        x = {m: self._tensor(chunk.batch(m).features, m) for m in MODALITIES}
        if self.weights_:
            nets = self._networks_of(self.weights_)
        else:
            nets = self._networks(x, bits=self._length, rng=rng)
        labels = self._place().tensor(normalise_labels(chunk.labels))
        last = [p for net in nets.values() for p in net.parameters[2:]]
        optimizer = torch.optim.Adam(
            [p for net in nets.values() for p in net.parameters], self.rate, fused=True
        )
        lengths = nested(self._length)
        for _ in passes("training", self.epochs):
            for rows in batches(len(chunk), self.batch, rng):
                z = [torch.tanh(nets[m](x[m][rows])) for m in MODALITIES]
                losses = [self._loss([out[:, :k] for out in z], labels[rows]) for k in lengths]
                weights = np.ones(len(losses))
                if self.adaptive:
                    weights = balance([gradient(loss, last) for loss in losses], lengths)
                optimizer.zero_grad()
                sum(float(w) * loss for w, loss in zip(weights, losses, strict=True)).backward()
                optimizer.step()
        return dict(self.mean_), dict(self.scale_), {m: net.arrays() for m, net in nets.items()}

    def _loss(self, z: Sequence[Any], labels: Any) -> Any:
        """The loss of one length for outputs (n, k) of both modalities and unit label rows (n, c)."""
        like = labels @ labels.T
        pairs = ((0, 1), (0, 0), (1, 1))
        near = sum(likeness_error(z[a], z[b], like) for a, b in pairs) / len(pairs)
        return near + self.quantise * sum((out.abs() - 1).square().mean() for out in z) / len(z)

    def _outputs(self, features: Features, modality: Modality) -> Array:
        return super()._outputs(features, modality)[:, : self.bits]


def nested(longest: int) -> list[int]:
    """The code lengths that are trained: 8, 16, 32, … below ``longest``, and that."""
    lengths = [_SHORTEST]
    while lengths[-1] < longest:
        lengths.append(min(2 * lengths[-1], longest))
    return lengths


def gradient(loss: Any, parameters: Sequence[Any]) -> Array:
    """The gradient of ``loss`` in the last layers, one column per output: (d, longest)."""
    import torch

    parts = torch.autograd.grad(loss, parameters, retain_graph=True)
    return np.concatenate([np.atleast_2d(part.cpu().numpy()) for part in parts]).astype(np.float64)


def balance(gradients: Sequence[Array], lengths: Sequence[int]) -> Array:
    """Weights (K,) of K code lengths, shortest first, from gradients (d, longest) of their losses.

    With ⟨g_i, g_j⟩ over the first k_i columns of a shorter length i and a longer one j, and s = ‖g_1‖² / (K -
    1),

        a_ij = s / -⟨g_i, g_j⟩   where the two oppose each other by more than s, and 1 elsewhere,

    at most the first a_ij of the same i. w_j is the product of a_ij over i < j, scaled to the sum K.
    """
    room = float(np.square(gradients[0][:, : lengths[0]]).sum()) / max(len(lengths) - 1, 1)
    weights = np.ones(len(lengths))
    for i, k in enumerate(lengths):
        most = np.inf
        for j in range(i + 1, len(lengths)):
            opposed = -float((gradients[i][:, :k] * gradients[j][:, :k]).sum())
            factor = room / opposed if opposed > room else 1.0
            most = factor if j == i + 1 else most
            weights[j] *= min(factor, most)
    return weights * len(weights) / weights.sum()
