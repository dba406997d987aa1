"""Features scaled column by column, with the mean and the deviations of the items they were fitted on."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Batch, Features, Modality, Shared, Split, State
from bench.methods._online import Array

ROUNDING = 1e-9  # a deviation below this share of the mean is rounding, since features are float32


class Scaling(State):
    """Subtracts the mean and divides by ``s^power · r^(1 - power)``: s of the column, r of all columns.

    s is the standard deviation of a column, r the root of the mean of all s². ``power=1`` standardises; with
    ½, columns that vary much keep some of their weight. Later items may vary in a column that is constant in
    these, so that its scale is r. ``mean`` and ``scale`` are (d,) float64.
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: npt.NDArray[Any], *, power: float = 1.0) -> Self:
        """Compute mean and deviations of the rows of ``x`` (n, d)."""
        mean, own = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        own[own < ROUNDING * abs(mean)] = 0.0
        overall = float(np.sqrt(np.mean(own * own))) or 1.0
        return cls(mean, np.where(own > 0, own**power * overall ** (1.0 - power), overall))

    @classmethod
    def of(cls, batch: Batch, *, power: float) -> Self | None:
        """Fit to the items that have this modality; None if no item has."""
        x = batch.features if batch.absent is None else batch.features[batch.present]
        return cls.fit(x, power=power) if len(x) else None

    def __call__(self, x: npt.NDArray[Any]) -> Features:
        """Scale each row of ``x`` (n, d) on its own, in float32."""
        out = np.empty(x.shape, np.float32)
        np.subtract(x, self.mean, out=out, casting="same_kind")
        out *= 1.0 / self.scale
        return out


def freeze(
    scalings: dict[Modality, Scaling], items: Split, shared: Shared, key: tuple[Hashable, ...]
) -> None:
    """Add the scaling, with power ½, of every modality that has items here for the first time.

    Cells with the same ``key`` in ``shared`` compute it once.
    """
    for m in MODALITIES:
        if m not in scalings:
            scaling = shared.once((*key, m), partial(Scaling.of, items.batch(m), power=0.5))
            if scaling is not None:
                scalings[m] = scaling
