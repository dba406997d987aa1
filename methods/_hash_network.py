"""Two-layer hashing networks on fixed features: what methods that train a pair of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.api import MODALITIES, Batch, Chunk, Codes, Features, Method, Modality, Rows, param, sign
from bench.methods._online import Array, blocks, dot


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
        rows, _ = sample(chunk, most, self.seed)
        mean, scale, inputs = scaled_inputs(chunk, rows, self.device)
        return mean, scale, {m: chunk.batch(m).features[rows] for m in MODALITIES}, inputs

    def _networks(self, inputs: dict[Modality, Any]) -> dict[Modality, Any]:
        """New networks for these inputs."""
        import torch

        from bench.methods._network import Network

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
        """The signs of the outputs."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        return sign(outputs(batch.features, self.weights_[modality], mean=mean, scale=scale))


def sample(chunk: Chunk, most: int, seed: int) -> tuple[Rows, np.random.Generator]:
    """At most ``most`` random rows of the chunk, and the generator they were drawn from.

    It is not the method's own: what is shared by code lengths must leave that one alone.
    """
    n = len(chunk)
    rng = np.random.default_rng([seed, n])
    return (np.arange(n) if n <= most else rng.choice(n, most, replace=False)), rng


def scaled_inputs(
    chunk: Chunk, rows: Rows, device: str
) -> tuple[dict[Modality, Array], dict[Modality, float], dict[Modality, Any]]:
    """Location and scale of each modality's features in these rows, and the features as tensors, scaled."""
    from bench.methods._network import tensor

    mean: dict[Modality, Array] = {}
    scale: dict[Modality, float] = {}
    inputs = {}
    for m in MODALITIES:
        x = chunk.batch(m).features[rows]
        mean[m], scale[m] = location_and_scale(x)
        inputs[m] = tensor((x - mean[m]) / scale[m], device)
    return mean, scale, inputs


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def outputs(
    x: Features,
    weights: Sequence[Features],
    *,
    mean: Array,
    scale: float,
    activation: Callable[[Array], Array] = relu,
) -> Array:
    """``activation(z W₁ + b₁) W₂ + b₂`` of the scaled rows z of ``x``, (n, bits).

    In float64: no bit of a code then hangs on how the rows are batched.
    """
    w1, b1, w2, b2 = weights
    found = np.empty((len(x), w2.shape[1]))
    done = 0
    for (rows,) in blocks(x):
        found[done : done + len(rows)] = dot(activation(dot((rows - mean) / scale, w1) + b1), w2) + b2
        done += len(rows)
    return found


def location_and_scale(x: Features) -> tuple[Array, float]:
    """Mean of the columns (d,) and root mean variance of ``x`` (n, d); 1 where nothing varies."""
    mean = x.mean(axis=0, dtype=np.float64)
    variance = float(x.var(axis=0, dtype=np.float64).mean())
    return mean, variance**0.5 or 1.0


def unit(x: Any) -> Any:
    """The rows of the tensor ``x`` (n, d) at length 1; a row of zeros stays one."""
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
