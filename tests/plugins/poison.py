"""A random projection that does something else in its second round."""

import ctypes
import gc
import os
import signal
import sys
import time
import warnings
from typing import Literal

import numpy as np

from bench.api import Batch, Chunk, Codes, Method, Modality, sign

Deed = Literal[
    "nothing", "sys.exit", "os._exit", "segfault", "kill", "loop", "hog", "interrupt", "generator",
    "mute", "newline", "empty", "patch", "labels", "garbage", "print", "warn",
]  # fmt: skip


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Poison(Method):
    """Signs of fixed random projections, and one deed."""

    deed: Deed = "nothing"
    varies = ("deed",)

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round == 0:
            widths = {m: chunk.batch(m).features.shape[1] for m in ("image", "text")}
            self.w_ = {m: self.rng.standard_normal((d, self.bits)) for m, d in widths.items()}
        else:
            do(self.deed)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.w_[modality])


def do(deed: str) -> None:
    if deed == "sys.exit":
        sys.exit(0)
    elif deed == "os._exit":
        os._exit(3)
    elif deed == "segfault":
        ctypes.string_at(0)
    elif deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "loop":
        time.sleep(600)
    elif deed == "hog":
        held = [np.ones(1 << 24) for _ in range(64)]  # 8 GB
        held.clear()
    elif deed == "interrupt":
        raise KeyboardInterrupt
    elif deed == "generator":
        raise GeneratorExit
    elif deed == "mute":
        raise MuteError
    elif deed == "newline":
        raise ValueError("\n\nsecond line")
    elif deed == "empty":
        raise ValueError("")
    elif deed == "patch":
        for module in [module for name, module in sys.modules.items() if name.startswith("bench.")]:
            if hasattr(module, "means"):
                vars(module)["means"] = lambda names, *_: dict.fromkeys(names, 0.999)
    elif deed == "labels":
        for thing in gc.get_objects():
            if type(thing).__name__ == "Stream" and hasattr(thing, "query_labels"):
                thing.query_labels[:] = ~np.uint64(0)
    elif deed == "garbage":
        for file in range(3, 20):
            try:
                os.write(file, b"\xff" * 64)
            except OSError:
                continue
        time.sleep(600)
    elif deed == "print":
        print("said by the method")  # noqa: T201
    elif deed == "warn":
        warnings.warn("mind the gap", RuntimeWarning, stacklevel=2)
