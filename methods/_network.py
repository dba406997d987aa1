"""Torch helpers for methods that train networks: device and precision, a two-layer network, batches.

The trap: torch's own layers draw their weights from its global generator. These weights come from
a NumPy generator, like every other random number of a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from bench.api import ParameterError, Rows


@dataclass(frozen=True, slots=True)
class Place:
    """A torch device and the precision of training on it.

    ``numbers`` is float32, float64 or bfloat16. The last applies to network products only: weights, outputs
    and losses stay float32. ``matmul`` is torch's precision for float32 matrix products.
    """

    device: str = "cpu"
    numbers: str = "float32"
    matmul: str = "highest"

    def __post_init__(self) -> None:
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).partition("\n")[0]
            raise ParameterError(f"device {self.device!r} cannot be used: {reason}. Try cpu.") from error

    @property
    def dtype(self) -> Any:
        return torch.float64 if self.numbers == "float64" else torch.float32

    def tensor(self, x: npt.NDArray[Any]) -> Any:
        """Copy ``x``, which may be read-only, to a tensor on this device."""
        return torch.tensor(x, dtype=self.dtype, device=self.device)

    def products(self) -> AbstractContextManager[Any]:
        """Compute matrix products in bfloat16 inside the context, if ``numbers`` says so."""
        if self.numbers != "bfloat16":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Set torch's matmul precision inside the context; the setting is global to the process."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.matmul)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


class Network:
    """``activation(x W₁ + b₁) W₂ + b₂`` with ``sizes`` = (inputs, hidden, outputs).

    Initial weights are normal with standard deviation ``gain / √(inputs of the layer)``; biases are 0.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        activation: Callable[[Any], Any],
        *,
        gain: float,
        rng: np.random.Generator,
        place: Place,
    ) -> None:
        self.activation, self._place = activation, place
        self.parameters = []
        for fan_in, fan_out in ((sizes[0], sizes[1]), (sizes[1], sizes[2])):
            weights = gain / fan_in**0.5 * rng.standard_normal((fan_in, fan_out))
            for start in (weights, np.zeros(fan_out)):
                self.parameters.append(place.tensor(start).requires_grad_())

    def __call__(self, x: Any) -> Any:
        w1, b1, w2, b2 = self.parameters
        with self._place.products():
            out = torch.addmm(b2, self.activation(torch.addmm(b1, x, w1)), w2)
        return out.to(self._place.dtype)

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return W₁, b₁, W₂, b₂ as arrays."""
        return [p.detach().cpu().numpy() for p in self.parameters]

    @classmethod
    def of(
        cls, arrays: Sequence[npt.NDArray[Any]], activation: Callable[[Any], Any], *, place: Place
    ) -> Self:
        """Recreate a network from its :meth:`arrays`, ready for more training."""
        net = cls.__new__(cls)
        net.activation, net._place = activation, place
        net.parameters = [place.tensor(array).requires_grad_() for array in arrays]
        return net


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Shuffle ``range(n)`` and split it into parts of at most ``size``, of equal length to within 1."""
    return iter(np.array_split(rng.permutation(n), -(-n // size)))
