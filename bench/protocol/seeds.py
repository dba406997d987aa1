"""Random numbers of a run: a generator for each purpose, all from the one seed."""

from __future__ import annotations

import zlib

import numpy as np


def derive(seed: int, *purpose: str) -> np.random.Generator:
    """A random generator for one purpose of a run, from the run's one seed.

    >>> bool(derive(0, "order").random() == derive(0, "order").random())
    True
    """
    return np.random.default_rng([seed, *(zlib.crc32(p.encode()) for p in purpose)])


def derive_seed(seed: int, *purpose: str) -> int:
    """A 32-bit seed for ``purpose``, such as a method's ``seed``."""
    return int(derive(seed, *purpose).integers(2**32))
