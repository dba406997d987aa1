"""Ends its run in the middle of the stream: in process, or as the process HARNESS."""

import os
import signal
import time
from typing import ClassVar

from bench.api import Batch, Chunk, Codes, Method, Modality, sign


class Stops(Method):
    """A random projection that stops in round STOPS_AT, if the environment has it."""

    begun: ClassVar[list[int]] = []  # the code lengths that started in round 0

    def fit_chunk(self, chunk: Chunk) -> None:
        if str(chunk.round) == os.environ.get("STOPS_AT"):
            if "HARNESS" not in os.environ:
                raise KeyboardInterrupt
            # Not SIGINT, which is ignored where tests run in the background.
            os.kill(int(os.environ["HARNESS"]), signal.SIGTERM)
            time.sleep(60)  # the harness ends this process
        if chunk.round == 0:
            self.begun.append(self.bits)
            widths = {m: chunk.batch(m).features.shape[1] for m in ("image", "text")}
            self.w_ = {m: self.rng.standard_normal((d, self.bits)) for m, d in widths.items()}

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality])
