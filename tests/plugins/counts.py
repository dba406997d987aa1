"""Says in a file which cells it computes."""

import os
import time

from bench.api import Batch, Chunk, Codes, Method, Modality, sign


class Counts(Method):
    """Signs of fixed random projections; the file $COUNTS gets a line for each cell begun and ended."""

    pause: float = 0.1  # seconds of a round

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round == 0:
            self._say("begun")
            self.w_ = {
                m: self.rng.standard_normal((chunk.batch(m).features.shape[1], self.bits))
                for m in ("image", "text")
            }
        time.sleep(self.pause)
        if chunk.round == 2:
            self._say("ended")

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality])

    def _say(self, what: str) -> None:
        with open(os.environ["COUNTS"], "a") as file:  # noqa: PTH123  # lines of processes do not mix
            file.write(f"{what} {self.bits}-{self.seed}\n")
