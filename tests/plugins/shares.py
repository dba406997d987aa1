"""Shares a mean between the cells of a pass, and counts how often it is computed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Split, Variant, param, sign


class Shares(Method):
    """Signs of a fixed random projection, moved by the mean of the last chunk."""

    capabilities = Capabilities(pool=True)
    varies = ("weight",)
    variants: ClassVar[Mapping[str, Variant]] = {
        "B0": Variant(isolates="nothing"),
        "B1": Variant(isolates="the mean", params={"weight": 0.0}),
        "B2": Variant(isolates="the pool", run={"pool": "full"}),
    }

    weight: float = param(1.0, "of the mean")
    power: float = 1.0

    def fit_pool(self, pool: Split) -> None:
        self.start_ = pool.shared.once("mean", lambda: counted(pool.image.features.mean()))

    def fit_chunk(self, chunk: Chunk) -> None:
        self.mean_ = chunk.shared.once("mean", lambda: counted(chunk.image.features.mean()))
        if chunk.round == 0:
            self.w_ = {
                m: self.rng.standard_normal((chunk.batch(m).features.shape[1], self.bits))
                for m in ("image", "text")
            }

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality] + 10 * self.weight * self.power * self.mean_)


def counted(value: Any) -> Any:
    if "SHARES_COUNT" in os.environ:
        with Path(os.environ["SHARES_COUNT"]).open("a") as file:
            file.write("x")
    return value
