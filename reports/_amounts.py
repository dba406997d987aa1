"""Amounts as a user writes them: ``5ms``, ``64B``, ``1e6/day``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from bench.reporting import ParameterError

MONTH = 30 * 86_400.0  # seconds
_TIMES = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_SIZES = {"B": 1.0, "kB": 1e3, "MB": 1e6}
_PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0, "month": MONTH}


def seconds(text: str, option: str) -> float:
    """The seconds of ``5ms``; no limit for an empty text.

    >>> seconds("5ms", "latency")
    0.005
    """
    return _limit(text, option, _TIMES, "5ms")


def count_of_bytes(text: str, option: str) -> float:
    """The bytes of ``64B``; no limit for an empty text.

    >>> count_of_bytes("1.5kB", "memory")
    1500.0
    """
    return _limit(text, option, _SIZES, "64B")


def per_month(text: str, option: str) -> float:
    """The number in 30 days of ``1e6/day``.

    >>> per_month("1e6/day", "inserts")
    30000000.0
    """
    number, slash, period = text.partition("/")
    value = _number(number)
    if not slash or value is None or period.strip() not in _PERIODS:
        raise ParameterError(
            f"{option}={text}: expected a number per {', '.join(_PERIODS)}. Write {option}=1e6/day."
        )
    return value * MONTH / _PERIODS[period.strip()]


def _limit(text: str, option: str, units: Mapping[str, float], example: str) -> float:
    if not text:
        return math.inf
    parts = re.fullmatch(r"\s*([0-9.eE+-]*[0-9.])\s*([a-zA-Zµ]*)\s*", text)
    value = _number(parts[1]) if parts else None
    if parts is None or not value or parts[2] not in units:
        raise ParameterError(
            f"{option}={text}: expected a number above 0 with a unit ({', '.join(units)}). "
            f"Write {option}={example}."
        )
    return value * units[parts[2]]


def _number(text: str) -> float | None:
    """A finite number from 0; None for any other text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None
