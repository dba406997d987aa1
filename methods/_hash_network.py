"""Base class of methods that train one two-layer network per modality on fixed features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bench.api import MODALITIES, Batch, Chunk, Codes, Features, Method, Modality, Rows, Split, param, sign
from bench.methods._online import Array, blocks, dot

if TYPE_CHECKING:
    from bench.methods._network import Place


class HashNetworks(Method):
    """One network per modality, ``relu(x W₁ + b₁) W₂ + b₂`` (or tanh); its output signs are the code.

    The features of a modality are centred and divided by a single number. A subclass trains the networks in
    ``_learn``, which sets ``mean_``, ``scale_`` and ``weights_`` (W₁, b₁, W₂, b₂ of each modality).
    """

    ACTIVATION: ClassVar[Literal["relu", "tanh"]] = "relu"
    GAIN: ClassVar[float] = 2**0.5  # scale of the initial weights

    hidden: int = param(512, "hidden units of each network", least=1)
    device: str = param("cpu", "torch device for training; encoding runs in NumPy")
    dtype: Literal["float32", "float64", "bfloat16"] = param(
        "float32", "precision of training; bfloat16 applies to network products only (autocast)"
    )
    matmul: Literal["highest", "high", "medium"] = param(
        "highest", "torch's precision for float32 matrix products; lower is faster on some hardware"
    )

    def fit_chunk(self, chunk: Chunk) -> None:
        with self._place().training():
            self._learn(chunk)

    def _learn(self, chunk: Chunk) -> None:
        """Train on the chunk; :meth:`fit_chunk` has already set torch's precision."""
        raise NotImplementedError

    def _place(self) -> Place:
        from bench.methods._network import Place

        return Place(self.device, self.dtype, self.matmul)

    def _inputs(self, chunk: Chunk, most: int) -> tuple[dict[Modality, Features], dict[Modality, Any]]:
        """Return features of at most ``most`` random items, raw and as scaled tensors.

        All code lengths get the same items: the sample does not use the method's own generator.
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
        """Create networks for these inputs; ``bits`` and ``rng`` default to the method's."""
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
        """Recreate networks from saved arrays, ready for more training."""
        import torch

        from bench.methods._network import Network

        activation = getattr(torch, self.ACTIVATION)
        return {m: Network.of(saved, activation, place=self._place()) for m, saved in arrays.items()}

    def _keep(self, nets: dict[Modality, Any]) -> None:
        """Store the trained weights as state."""
        self.weights_: dict[Modality, list[Features]] = {m: net.arrays() for m, net in nets.items()}

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        """Return the outputs of the modality's network."""
        return self._outputs(batch.features, modality)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def _outputs(self, features: Features, modality: Modality) -> Array:
        """Run one network on features of its modality: (n, bits) float64, each row on its own."""
        mean, scale = self.mean_[modality], self.scale_[modality]
        activation = relu if self.ACTIVATION == "relu" else np.tanh
        return outputs(features, self.weights_[modality], mean=mean, scale=scale, activation=activation)


def sample(items: Split, most: int, seed: int) -> tuple[Rows, np.random.Generator]:
    """Draw at most ``most`` random rows of the items; return them and the generator used.

    It is not the method's own generator: work shared between code lengths must not advance that one.
    """
    n = len(items)
    rng = np.random.default_rng([seed, n])
    return (np.arange(n) if n <= most else rng.choice(n, most, replace=False)), rng


def scaled_inputs(
    items: Split, rows: Rows, place: Place
) -> tuple[dict[Modality, Array], dict[Modality, float], dict[Modality, Any]]:
    """Return the mean and scale of each modality in these rows, and the scaled features as tensors."""
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
    """Compute ``activation(z W₁ + b₁) W₂ + b₂``, (n, bits), for the scaled rows z of ``x``.

    In float64, so that no bit of a code depends on how the rows are batched.
    """
    w1, b1, w2, b2 = weights
    out = np.empty((len(x), w2.shape[1]))
    done = 0
    for (rows,) in blocks(x):
        out[done : done + len(rows)] = dot(activation(dot((rows - mean) / scale, w1) + b1), w2) + b2
        done += len(rows)
    return out


def location_and_scale(x: Features) -> tuple[Array, float]:
    """Return the column means (d,) of ``x`` (n, d) and its root mean variance, or 1 if x is constant."""
    mean = x.mean(axis=0, dtype=np.float64)
    variance = float(x.var(axis=0, dtype=np.float64).mean())
    return mean, variance**0.5 or 1.0


def unit(x: Any) -> Any:
    """Scale the rows of the tensor ``x`` (n, d) to length 1; zero rows stay zero."""
    return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
