"""What methods that train with torch share: where and how it computes, a small network, batches.

The trap: torch's own layers draw their weights from its global generator. These are drawn by
NumPy's, like every other random number of a method.
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
    """A torch device and the numbers to compute in there.

    ``numbers`` is float32, float64, or bfloat16, which means the products of networks alone: weights,
    outputs and losses are float32 then. ``matmul`` is torch's precision of float32 products.
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
        """A tensor here with the values of ``x``, which may be read-only."""
        return torch.tensor(x, dtype=self.dtype, device=self.device)

    def products(self) -> AbstractContextManager[Any]:
        """Within it products are bfloat16, where these are the numbers."""
        if self.numbers != "bfloat16":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within it torch multiplies with this precision, which is a setting of the whole process."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.matmul)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


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
        """W₁, b₁, W₂, b₂."""
        return [p.detach().cpu().numpy() for p in self.parameters]

    @classmethod
    def of(
        cls, arrays: Sequence[npt.NDArray[Any]], activation: Callable[[Any], Any], *, place: Place
    ) -> Self:
        """The network that goes on from what :meth:`arrays` gave."""
        net = cls.__new__(cls)
        net.activation, net._place = activation, place
        net.parameters = [place.tensor(array).requires_grad_() for array in arrays]
        return net


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """All of ``range(n)`` in random order, in equal parts (to within 1) of at most ``size``."""
    return iter(np.array_split(rng.permutation(n), -(-n // size)))
