"""The two-layer network that UKD's teacher and student are made of.

The trap: torch's own layers draw their weights from its global generator. These are drawn by
NumPy's, like every other random number of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.api import Rows


class Network:
    """``activation(x W₁ + b₁) W₂ + b₂`` for ``sizes`` = (inputs, hidden, outputs).

    Weights start as normal numbers of deviation ``gain / √(inputs of the layer)``, biases as 0.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        activation: Callable[[Any], Any],
        *,
        gain: float,
        rng: np.random.Generator,
        device: Any,
    ) -> None:
        self.activation = activation
        self.parameters = []
        for fan_in, fan_out in ((sizes[0], sizes[1]), (sizes[1], sizes[2])):
            weights = gain / fan_in**0.5 * rng.standard_normal((fan_in, fan_out))
            for start in (weights, np.zeros(fan_out)):
                self.parameters.append(tensor(start, device).requires_grad_())

    def __call__(self, x: Any) -> Any:
        w1, b1, w2, b2 = self.parameters
        return torch.addmm(b2, self.activation(torch.addmm(b1, x, w1)), w2)

    def arrays(self) -> list[npt.NDArray[np.float32]]:
        """W₁, b₁, W₂, b₂."""
        return [p.detach().cpu().numpy() for p in self.parameters]


def tensor(x: npt.NDArray[Any], device: Any) -> Any:
    """A float32 tensor on ``device`` with the values of ``x``, which may be read-only."""
    return torch.tensor(x, dtype=torch.float32, device=device)


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """All of ``range(n)`` in random order, in equal parts (to within 1) of at most ``size``."""
    return iter(np.array_split(rng.permutation(n), -(-n // size)))
