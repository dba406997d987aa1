"""Two-layer hashing networks on fixed features: what methods that train a pair of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bench.api import MODALITIES, Batch, Chunk, Codes, Features, Method, Modality, Rows, Split, param, sign
from bench.methods._online import Array, blocks, dot

if TYPE_CHECKING:
    from bench.methods._network import Place


class HashNetworks(Method):
    """One network per modality, ``relu(x W₁ + b₁) W₂ + b₂`` (or tanh); a code is the signs of its outputs.

    The features of a modality are centred and divided by one number. A subclass trains the networks
    in ``_learn`` and leaves ``mean_``, ``scale_`` and ``weights_``: W₁, b₁, W₂, b₂ of each modality.
    """

    ACTIVATION: ClassVar[Literal["relu", "tanh"]] = "relu"
    GAIN: ClassVar[float] = 2**0.5  # of the first weights

    hidden: int = param(512, "hidden units of each network", least=1)
    device: str = param("cpu", "torch device to train on; encoding is NumPy's")
    dtype: Literal["float32", "float64", "bfloat16"] = param(
        "float32", "numbers to train in; bfloat16: the products of networks alone (autocast)"
    )
    matmul: Literal["highest", "high", "medium"] = param(
        "highest", "torch's precision of float32 products; medium is faster, on some CPUs at no loss"
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        with self._place().training():
            self._learn(chunk)

    def _learn(self, chunk: Chunk) -> None:
        """What :meth:`fit_chunk` is for, with torch set as the parameters say."""
        raise NotImplementedError

    def _place(self) -> Place:
        from bench.methods._network import Place

        return Place(self.device, self.dtype, self.matmul)

    def _inputs(self, chunk: Chunk, most: int) -> tuple[dict[Modality, Features], dict[Modality, Any]]:
        """Features of at most ``most`` random items, as they come and (tensors) as the networks get them.

        The same for all code lengths: draws come from a generator of their own.
        """
        key = ("inputs", self.seed, most, self._place())
        self.mean_, self.scale_, x, inputs = chunk.shared.once(key, lambda: self._prepare(chunk, most))
        return x, inputs

    def _prepare(self, chunk: Chunk, most: int) -> tuple[Any, ...]:
        rows, _ = sample(chunk, most, self.seed)
        mean, scale, inputs = scaled_inputs(chunk, rows, self._place())
        return mean, scale, {m: chunk.batch(m).features[rows] for m in MODALITIES}, inputs

    def _networks(
        self,
        inputs: Mapping[Modality, Any],
        *,
        bits: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> dict[Modality, Any]:
        """New networks for these inputs, of the method's own length and draws where nothing else is said."""
        import torch

        from bench.methods._network import Network

        return {
            m: Network(
                (x.shape[1], self.hidden, bits or self.bits),
                getattr(torch, self.ACTIVATION),
                gain=self.GAIN,
                rng=rng or self.rng,
                place=self._place(),
            )
            for m, x in inputs.items()
        }

    def _networks_of(self, arrays: Mapping[Modality, Sequence[Any]]) -> dict[Modality, Any]:
        """Networks that go on from these arrays of theirs."""
        import torch

        from bench.methods._network import Network

        activation = getattr(torch, self.ACTIVATION)
        return {m: Network.of(found, activation, place=self._place()) for m, found in arrays.items()}

    def _keep(self, nets: dict[Modality, Any]) -> None:
        """Make what was learned the state."""
        self.weights_: dict[Modality, list[Features]] = {m: net.arrays() for m, net in nets.items()}

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The signs of the outputs."""
        return sign(self._outputs(batch.features, modality))

    def _outputs(self, features: Features, modality: Modality) -> Array:
        """What one network makes of its features, (n, bits) in float64, row by row."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        activation = relu if self.ACTIVATION == "relu" else np.tanh
        return outputs(features, self.weights_[modality], mean=mean, scale=scale, activation=activation)


def sample(items: Split, most: int, seed: int) -> tuple[Rows, np.random.Generator]:
    """At most ``most`` random rows of the items, and the generator they were drawn from.

    It is not the method's own: what is shared by code lengths must leave that one alone.
    """
    n = len(items)
    rng = np.random.default_rng([seed, n])
    return (np.arange(n) if n <= most else rng.choice(n, most, replace=False)), rng


def scaled_inputs(
    items: Split, rows: Rows, place: Place
) -> tuple[dict[Modality, Array], dict[Modality, float], dict[Modality, Any]]:
    """Location and scale of each modality's features in these rows, and the features as tensors, scaled."""
    mean: dict[Modality, Array] = {}
    scale: dict[Modality, float] = {}
    inputs = {}
    for m in MODALITIES:
        x = items.batch(m).features[rows]
        mean[m], scale[m] = location_and_scale(x)
        inputs[m] = place.tensor((x - mean[m]) / scale[m])
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
