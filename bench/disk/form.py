"""Whether a value read from JSON has the form of a dataclass: its fields, with values of their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

_MOST = 1 << 63  # of whole numbers: larger ones are no counts, and overflow when they are divided


def mismatch(value: Any, kind: Any, where: str) -> str:
    """The first place at which ``value`` does not fit ``kind``, with the fact; "" if it fits.

    ``value`` is what :func:`json.loads` gives; ``kind`` is a type, a dataclass, or an annotation made of
    Mapping, tuple, Literal and unions; ``where`` names the value.

    >>> from bench.records import Schedule
    >>> mismatch({"order": "drift", "size": "5"}, Schedule, "schedule")
    "schedule.size is '5'; expected int"
    """
    has_fields, origin, args = _parts(kind)
    if kind is Any:
        return ""
    if has_fields:
        return _of_fields(value, kind, where)
    if origin is Literal:
        return "" if value in args else _unexpected(value, f"one of {', '.join(map(str, args))}", where)
    if origin is UnionType:
        return "" if any(not mismatch(value, one, where) for one in args) else _unexpected(value, kind, where)
    if origin is Mapping:
        if not isinstance(value, dict):
            return _unexpected(value, "an object", where)
        return _first(mismatch(entry, args[1], f"{where}.{name}") for name, entry in value.items())
    if origin is tuple:
        if not isinstance(value, list):
            return _unexpected(value, "a list", where)
        return _first(mismatch(entry, args[0], f"{where}[{at}]") for at, entry in enumerate(value))
    accepted = (float, int) if kind is float else (kind,)  # JSON may write 1.0 as 1
    fits = type(value) in accepted and (type(value) is not int or abs(value) < _MOST)
    return "" if fits else _unexpected(value, kind.__name__, where)


@cache  # a record has hundreds of values of a few kinds
def _parts(kind: Any) -> tuple[bool, Any, tuple[Any, ...]]:
    """Whether it is a dataclass, and its origin and arguments."""
    return is_dataclass(kind), get_origin(kind), get_args(kind)


def _of_fields(value: Any, kind: Any, where: str) -> str:
    if not isinstance(value, dict):
        return _unexpected(value, "an object", where)
    known = _hints(kind)
    for name in value.keys() - known.keys():
        return f"{where}.{name} is no field of {kind.__name__}"
    for name in known.keys() - value.keys():
        if known[name][1]:
            return f"{where}.{name} is missing"
    return _first(mismatch(entry, known[name][0], f"{where}.{name}") for name, entry in value.items())


@cache
def _hints(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Name → annotation, and whether the field has no default."""
    hints = get_type_hints(kind)
    needed = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    return {name: (hints[name], needed[name]) for name in needed}


def _first(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")


def _unexpected(value: Any, expected: object, where: str) -> str:
    shown = (
        "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:40]
    )
    return f"{where} is {shown}; expected {expected}"
