"""Durations, sizes and counts as a person writes them: three digits and a unit, never an exponent."""

from __future__ import annotations

from collections.abc import Sequence

_TIMES = ((1e6, "µs"), (1e3, "ms"), (1, "s"), (1 / 60, "min"), (1 / 3600, "h"))
_MOST = {"µs": 1000, "ms": 1000, "s": 120, "min": 120}  # from which on the next unit is used
_SIZES = ((1, "B"), (1e-3, "kB"), (1e-6, "MB"), (1e-9, "GB"))


def duration(seconds: float) -> str:
    """A time.

    >>> [duration(value) for value in (2.5e-5, 0.9996, 90, 5000, 1e7)]
    ['25.0 µs', '1.00 s', '90.0 s', '83.3 min', '2,778 h']
    """
    return _in_units(seconds, _TIMES)


def roughly(seconds: float) -> str:
    """A time that is an estimate.

    >>> [roughly(value) for value in (8, 510, 7300)]
    ['8 s', '8 min', '2.0 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """A number of bytes.

    >>> [size(value) for value in (12, 999.6, 25_000, 3.2e9)]
    ['12 B', '1.00 kB', '25.0 kB', '3.20 GB']
    """
    return f"{count:.0f} B" if count < 999.5 else _in_units(count, _SIZES[1:])


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> [counted(value, "cell") for value in (0, 1, 2)]
    ['0 cells', '1 cell', '2 cells']
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _in_units(value: float, units: Sequence[tuple[float, str]]) -> str:
    for scale, unit in units:
        if unit == units[-1][1] or value * scale < _MOST.get(unit, 1000) * 0.9995:
            return f"{digits(value * scale)} {unit}"
    raise AssertionError("the last unit takes every value")


def digits(value: float) -> str:
    """Three digits, or all of those before the point.

    >>> [digits(value) for value in (0, 0.0123, 9.996, 123.4, 12345.6)]
    ['0', '0.012', '10.0', '123', '12,346']
    """
    if value == 0:
        return "0"
    decimals = 3 if value < 0.9995 else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{decimals}f}"
