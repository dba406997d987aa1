"""The two-layer network that UKD's teacher and student are made of.

The weights are drawn by a NumPy generator: torch's layers would draw from its global one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from bench.api import Rows


class Network:
    """``activation(x W₁ + b₁) W₂ + b₂`` for ``sizes`` = (inputs, hidden, outputs)."""

    def __init__(
        self,
        sizes: tuple[int, int, int],
        activation: Callable[[Any], Any],
        *,
        gain: float,
        rng: np.random.Generator,
        device: str,
    ) -> None:
        self.activation = activation
        self.parameters = []
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            weight = rng.standard_normal((fan_in, fan_out), dtype=np.float32) * np.float32(gain / fan_in**0.5)
            for value in (weight, np.zeros(fan_out, dtype=np.float32)):
                self.parameters.append(torch.from_numpy(value).to(device).requires_grad_())

    def __call__(self, x: Any) -> Any:
        w1, b1, w2, b2 = self.parameters
        return torch.addmm(b2, self.activation(torch.addmm(b1, x, w1)), w2)

    def optimizer(self, rate: float, decay: float, *others: Network) -> Any:
        """Adam over the parameters of this network and of ``others``."""
        together = [p for network in (self, *others) for p in network.parameters]
        return torch.optim.Adam(together, lr=rate, weight_decay=decay, fused=True)

    def arrays(self) -> list[Any]:
        """W₁, b₁, W₂, b₂ as NumPy arrays."""
        return [p.detach().cpu().numpy() for p in self.parameters]


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """All of ``range(n)`` in random order and in nearly equal parts of at most ``size``."""
    order = rng.permutation(n)
    return iter(np.array_split(order, -(-n // size)))
