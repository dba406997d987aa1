"""Two-layer hashing networks on fixed features: what methods that train a pair of them share."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.api import MODALITIES, Batch, Chunk, Codes, Features, Method, Modality, param, sign
from bench.methods._online import Array, blocks, dot
from bench.methods.ukd import location_and_scale


class HashNetworks(Method):
    """One network per modality, ``relu(x W₁ + b₁) W₂ + b₂``; a code is the signs of its outputs.

    The features of a modality are centred and divided by one number.
    A subclass trains the networks in ``fit_chunk``: ``_inputs``, ``_networks``, then ``_keep``.
    """

    hidden: int = param(512, "hidden units of each network", least=1)
    device: str = param("cpu", "torch device to train on; encoding is NumPy's")

    def _inputs(self, chunk: Chunk, most: int) -> tuple[dict[Modality, Features], dict[Modality, Any]]:
        """Features of at most ``most`` random items, as they come and (tensors) as the networks get them.

        The same for all code lengths: draws come from a generator of their own.
        """
        key = ("inputs", self.seed, most, self.device)
        self.mean_, self.scale_, x, inputs = chunk.shared.once(key, lambda: self._prepare(chunk, most))
        return x, inputs

    def _prepare(self, chunk: Chunk, most: int) -> tuple[Any, ...]:
        from bench.methods.ukd.network import tensor

        n = len(chunk)
        rng = np.random.default_rng([self.seed, n])
        rows = np.arange(n) if n <= most else rng.choice(n, most, replace=False)
        mean: dict[Modality, Array] = {}
        scale: dict[Modality, float] = {}
        x: dict[Modality, Features] = {}
        inputs = {}
        for m in MODALITIES:
            x[m] = chunk.batch(m).features[rows]
            mean[m], scale[m] = location_and_scale(x[m])
            inputs[m] = tensor((x[m] - mean[m]) / scale[m], self.device)
        return mean, scale, x, inputs

    def _networks(self, inputs: dict[Modality, Any]) -> dict[Modality, Any]:
        """New networks for these inputs."""
        import torch

        from bench.methods.ukd.network import Network

        return {
            m: Network(
                (x.shape[1], self.hidden, self.bits),
                torch.relu,
                gain=2**0.5,
                rng=self.rng,
                device=self.device,
            )
            for m, x in inputs.items()
        }

    def _keep(self, nets: dict[Modality, Any]) -> None:
        """Make what was learned the state: W₁, b₁, W₂, b₂ of each modality."""
        self.weights_: dict[Modality, list[Features]] = {m: net.arrays() for m, net in nets.items()}

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of the outputs, in float64: no bit then hangs on how rows are batched."""
        w1, b1, w2, b2 = self.weights_[modality]
        codes = np.empty((len(batch), self.bits), np.int8)
        done = 0
        for (x,) in blocks(batch.features):
            hidden = np.maximum(dot((x - self.mean_[modality]) / self.scale_[modality], w1) + b1, 0)
            codes[done : done + len(x)] = sign(dot(hidden, w2) + b2)
            done += len(x)
        return codes


def unit(x: Any) -> Any:
    """The rows of the tensor ``x`` (n, d) at length 1; a row of zeros stays one."""
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
