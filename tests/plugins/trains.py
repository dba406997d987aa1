"""A method with a long training of two stages, which logs its loss and which a test kills inside a pass."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Split, param, sign

PASSES = 4


class Trains(Method):
    """Signs of random projections that every pass moves a little."""

    kill: str = param("", "stage and pass, as teacher:2, in which the harness is killed once")
    witness: str = param("", "file that lists the passes")
    capabilities = Capabilities(pool=True, resumes=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.calls_ = 0
        self.w_ = np.zeros((64, self.bits))

    def fit_pool(self, pool: Split) -> None:
        self.calls_ += 1
        self._train("pool")

    def fit_chunk(self, chunk: Chunk) -> None:
        self.calls_ += 1  # counted twice if the call began from a state in its middle
        self._train(f"teacher{chunk.round}")
        self._train(f"student{chunk.round}")

    def _train(self, stage: str) -> None:
        for epoch in self.passes(stage, PASSES, save=lambda: self.w_, load=self._load):
            self._say(f"{stage}:{epoch}")
            self.w_ = self.w_ + self.rng.standard_normal(self.w_.shape)
            self.log(epoch, loss=float(np.abs(self.w_).mean()), bad=np.nan)

    def _load(self, kept: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
        self.w_ = kept

    def _say(self, where: str) -> None:
        with Path(self.witness).open("a") as file:
            file.write(f"{self.bits}:{where}\n")
        flag = Path(f"{self.witness}.killed")
        if where == self.kill and not flag.exists():
            flag.touch()
            time.sleep(0.3)  # so that the harness has written the pass before
            os.kill(int(os.environ["HARNESS"]), signal.SIGKILL)
            signal.pause()

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[: batch.features.shape[1]])

    def notes(self) -> list[str]:
        return [f"{self.calls_} calls"]
