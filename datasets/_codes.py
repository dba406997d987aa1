"""Recognises packed hash codes, and the token numbers of a text model, where features are expected.

Trap: histograms, counts and quantised descriptors are bytes too; but they rarely fill all eight bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.api import DataError
from bench.datasets._mapping import Mapped
from bench.datasets._reading import Array

MOST_BYTES = 64  # columns of packed codes: 512 bits
MOST_TOKENS = 128  # columns: CLIP has 77
ROWS = 2000  # that are looked at
EXACT = 1 << 53  # whole numbers beyond it are no measurements


def refuse_packed(roles: Mapping[str, Mapped]) -> None:
    """Raise :class:`DataError` if the images or texts of a bundle are packed codes."""
    narrow = {
        r: roles[r] for r in ("image", "text") if roles[r].shape[1:] and roles[r].shape[1] <= MOST_BYTES
    }
    matrices = {role: mapped.read()[:ROWS] for role, mapped in narrow.items()}
    stored = {role: x for role, x in matrices.items() if x.dtype.kind in "iu" and x.size}
    shares = {role: _shares(array) for role, array in stored.items()}
    alike = len(stored) == 2 and stored["image"].shape[1] == stored["text"].shape[1]
    for role, array in stored.items():
        least = 0.05 if alike and len(shares["image"]) == len(shares["text"]) else 0.25
        if array.itemsize == 8 and array.max() > EXACT:
            raise _error(narrow[role], array, "np.unpackbits(x.view(np.uint8), axis=1)")
        if len(shares[role]) and least <= shares[role].min() <= shares[role].max() <= 1 - least:
            raise _error(narrow[role], array, "np.unpackbits(x, axis=1)")


def refuse_tokens(text: Mapped) -> None:
    """Raise :class:`DataError` for rows of whole numbers that all begin with the same and reach thousands."""
    if not 8 <= text.shape[1] <= MOST_TOKENS:
        return
    stored = text.read()[:ROWS]
    if stored.dtype.kind not in "iu" or len(stored) < 2 or stored.min() < 0 or stored.max() < 2000:
        return
    if (stored[:, 0] == stored[0, 0]).all() and (stored[:, 1] != stored[0, 1]).any():
        raise DataError(
            f"{text.where}: holds whole numbers up to {stored.max()}, and {stored[0, 0]} first in each row, "
            "as the token numbers of a text model do; expected features. Save what the model makes of them "
            "(encode_text); features save as x.astype(np.float32)."
        )


def _shares(array: Array) -> Array:
    """How often each of the eight bits of a byte is set; empty for other types."""
    if array.dtype != np.uint8:
        return np.zeros(0)
    return np.array([((array >> bit) & 1).mean() for bit in range(8)])


def _error(mapped: Mapped, array: Array, unpack: str) -> DataError:
    bits = array.shape[1] * array.itemsize * 8
    return DataError(
        f"{mapped.where}: holds {array.dtype} of {array.shape[1]} columns that use every bit, as packed "
        f"hash codes of {bits} bits do; expected features. Unpack codes: {unpack}; features save as "
        "x.astype(np.float32)."
    )
