"""Checks the output of every call to a method; the error says what to return instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.contract.items import Codes, Features
from bench.contract.method import factor_bits
from bench.errors import ContractError

_LARGEST = 1e30  # number of a query: sums of such numbers are finite


def validate_codes(codes: Any, *, rows: int, bits: int, owner: str, call: str) -> Codes:
    """Return ``codes`` if they are (rows, bits) int8 of -1 and +1; else raise :class:`ContractError`.

    >>> validate_codes(np.zeros((2, 8)), rows=2, bits=8, owner="Mine", call="encode")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    bench.errors.ContractError: Mine.encode() returned float64 (2, 8); expected int8 (2, 8) with values ...
    """
    if not isinstance(codes, np.ndarray):
        returned = f"a {type(codes).__name__}"
    elif codes.dtype != np.int8 or codes.shape != (rows, bits):
        returned = f"{codes.dtype} {codes.shape}"
    else:
        wrong = codes[np.abs(codes) != 1]
        if not wrong.size:
            return codes
        zeros = int((wrong == 0).sum())
        others = ", ".join(str(v) for v in np.unique(wrong[wrong != 0])[:3])
        returned = f"int8 {codes.shape} with " + " and ".join(
            ([f"{zeros} zeros"] if zeros else []) + ([f"the values {others}"] if others else [])
        )
    raise ContractError(
        f"{owner}.{call}() returned {returned}; expected int8 ({rows}, {bits}) with values -1 and +1. "
        "Use bench.sign(x)."
    )


def validate_vectors(vectors: Any, *, rows: int, owner: str, call: str) -> Features:
    """Return ``vectors`` if they are (rows, k) finite float32; else raise :class:`ContractError`."""
    shape = f"float32 ({rows}, k)"
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32:
        returned = str(vectors.dtype) if isinstance(vectors, np.ndarray) else f"a {type(vectors).__name__}"
    elif vectors.ndim != 2 or len(vectors) != rows:
        returned = f"float32 {vectors.shape}"
    elif not np.isfinite(vectors).all():
        returned = "vectors with NaN or infinity"
    else:
        return vectors
    raise ContractError(f"{owner}.{call}() is real-valued and returned {returned}; expected finite {shape}.")


def validate_query(values: Any, *, rows: int, bits: int, distance: str, owner: str) -> Features:
    """Return what ``encode_query()`` gave if it fits the ``distance``; else raise :class:`ContractError`."""
    shapes: dict[str, tuple[int, ...]] = {
        "dot": (rows, bits),
        "scaled dot": (rows, bits - factor_bits(bits)),
        "codebook": (rows, -(-bits // 8), 256),
    }
    shape = shapes[distance]
    if not isinstance(values, np.ndarray):
        returned = f"a {type(values).__name__}"
    elif values.dtype != np.float32 or values.shape != shape:
        returned = f"{values.dtype} {values.shape}"
    elif not (np.abs(values) <= _LARGEST).all():
        returned = f"NaN, or values beyond {_LARGEST:g}"
    else:
        return values
    raise ContractError(
        f"{owner}.encode_query() returned {returned}; expected finite float32 {shape} "
        f"for Capabilities(distance={distance!r})."
    )
