"""A CLIP model that a method trains further: its inputs as tensors, its weights as state.

The traps: batch normalisation keeps CLIP's own statistics, in training too, so that an item's code depends
on no other item; and codes come from batches of one size, since rounding may depend on the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.api import Batch, Features, Pictures, Rows, clip_model
from bench.methods._network import Place

BLOCK = 32  # items encoded at a time
_AT_ONCE = 256
Arrays = Mapping[str, npt.NDArray[Any]]


class Inputs:
    """Pictures as tensors for CLIP, by rows; they stay in memory where they need at most ``most`` GB."""

    def __init__(
        self, pictures: Pictures, transform: Callable[[Any], Any], place: Place, most: float
    ) -> None:
        self._pictures, self._place = pictures.mapped(transform), place
        size = self._pictures[0].nbytes * len(pictures)
        self._kept = self._read(range(len(pictures))) if size <= most * 1e9 else None

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, rows: Rows) -> Any:
        read = self._read(rows) if self._kept is None else self._kept[torch.as_tensor(rows)]
        return read.to(self._place.device)

    def split(self, size: int) -> Iterator[Any]:
        """All pictures in order, at most ``size`` at a time, nor more than a GPU can take."""
        size = min(size, _AT_ONCE)
        return (self[np.arange(i, min(i + size, len(self)))] for i in range(0, len(self), size))

    def _read(self, rows: Sequence[int] | Rows) -> Any:
        return torch.stack([self._pictures[int(row)] for row in rows])


class Clip:
    """CLIP with its transform of pictures and its tokenizer, on a device."""

    def __init__(self, name: str, place: Place) -> None:
        self.model, self.transform, self.tokenizer = clip_model(name, place.device)
        self.model.eval()  # no dropout, and no statistics of the batch
        self.place = place

    @property
    def width(self) -> int:
        """The columns of its outputs."""
        with torch.no_grad():
            return int(self.model.encode_text(self.tokens(["a"])).shape[1])

    def tokens(self, texts: Sequence[str]) -> Any:
        return self.tokenizer(list(texts)).to(self.place.device)

    def images(self, pixels: Any) -> Any:
        """Unit vectors (n, d) of pictures."""
        with self.place.products():
            return torch.nn.functional.normalize(self.model.encode_image(pixels).float())

    def texts(self, tokens: Any) -> Any:
        """Unit vectors (n, d) of texts."""
        with self.place.products():
            return torch.nn.functional.normalize(self.model.encode_text(tokens).float())

    def in_blocks(self, batch: Batch, head: Callable[[Any], Any]) -> Features:
        """``head`` of the vectors of a batch, (n, k) float32; every block has ``BLOCK`` items."""
        outputs = []
        with torch.inference_mode():
            for start in range(0, len(batch), BLOCK):
                block = batch.take(slice(start, start + BLOCK))
                filled = np.minimum(np.arange(BLOCK), len(block) - 1)
                if block.pictures is not None:
                    pixels = torch.stack([self.transform(block.pictures.open(i)) for i in range(len(block))])
                    x = self.images(pixels[filled].to(self.place.device))
                else:
                    assert block.texts is not None, "the method declares texts"
                    x = self.texts(self.tokens(block.texts)[filled])
                outputs.append(head(x).float().cpu().numpy()[: len(block)])
        joined: Features = np.concatenate(outputs)
        return joined


def arrays(module: Any) -> dict[str, npt.NDArray[Any]]:
    """A copy of all weights of a module."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def restore(module: Any, stored: Arrays) -> None:
    """Set the weights of a module to what :func:`arrays` gave."""
    module.load_state_dict({name: torch.tensor(array) for name, array in stored.items()})


def saved(modules: Sequence[Any], optimizer: Any) -> dict[str, Any]:
    """Modules and their optimizer as state, for a training that can be resumed."""
    moments = {
        str(number): {name: value.cpu().numpy() for name, value in entry.items()}
        for number, entry in optimizer.state_dict()["state"].items()
    }
    return {"modules": [arrays(module) for module in modules], "moments": moments}


def resume(modules: Sequence[Any], optimizer: Any, stored: Mapping[str, Any]) -> None:
    """Go on from what :func:`saved` gave."""
    for module, weights in zip(modules, stored["modules"], strict=True):
        restore(module, weights)
    state = {
        int(number): {name: torch.tensor(value) for name, value in entry.items()}
        for number, entry in stored["moments"].items()
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
