"""Hash networks that go on training: on every chunk, from the weights of the round before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import Batch, Codes, Features, Modality
from bench.methods._hash_network import HashNetworks, location_and_scale


class StreamNetworks(HashNetworks):
    """Mean, scale and first weights of a modality come from the first chunk that has items of it.

    A subclass reads its inputs with ``_tensor`` and its networks with ``_network``, and keeps what it trained
    in ``weights_``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mean_: dict[Modality, npt.NDArray[np.float64]] = {}
        self.scale_: dict[Modality, float] = {}
        self.weights_: dict[Modality, list[Features]] = {}

    def _tensor(self, x: Features, modality: Modality) -> Any:
        """Scale features (n, d) as those of the modality's first chunk; the first call fixes the scaling."""
        if modality not in self.mean_:
            self.mean_[modality], self.scale_[modality] = location_and_scale(x)
        return self._place().tensor((x - self.mean_[modality]) / self.scale_[modality])

    def _network(self, x: Any, modality: Modality) -> Any:
        """Recreate the network of a modality with its last weights, or start it for inputs ``x`` (n, d)."""
        known = self.weights_.get(modality)
        if known is not None:
            return self._networks_of({modality: known})[modality]
        return self._networks({modality: x})[modality]

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        self.require_met(modality, self.weights_)
        return super().encode(batch, modality)


def log_mean(x: Any) -> Any:
    """Return the mean of ``-log x``, with x at least 1e-10."""
    return -x.clamp_min(1e-10).log().mean()
