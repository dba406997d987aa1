"""Typed parameters of plugins: declared as annotated class attributes, checked in one place.

A plain annotated attribute with a default is a parameter already; :func:`param` adds a
description and bounds, which `bench info` prints and the constructor enforces.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from bench.errors import ContractError, ParameterError, UnknownNameError

MOST_TEXT = 1000  # characters of a name or of a value in a record


def param(
    default: Any,
    doc: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Declare a parameter: its default, what it is, and its bounds (``above`` is exclusive).

    >>> class Mine(Method):  # doctest: +SKIP
    ...     alpha: float = param(0.3, "weight of the hash functions", least=0)
    """
    return dataclasses.field(
        default=default, metadata={"doc": doc, "above": above, "least": least, "most": most}
    )


def refuse_annotated(cls: type) -> None:
    """Raise :class:`ContractError` where an annotation would make a parameter of a base's class attribute.

    Call it before ``dataclass()``, which has an obscure message for some of these and none for the others.
    """
    bases = [base for base in cls.__mro__[1:] if dataclasses.is_dataclass(base)]
    declared = {name for base in bases for name in inspect.get_annotations(base)}
    parameters_ = {field.name for base in bases for field in dataclasses.fields(base)}
    for name, annotation in inspect.get_annotations(cls).items():
        if name in declared - parameters_ and "ClassVar" not in str(annotation):
            raise ContractError(
                f"{cls.__name__}.{name} is annotated, which would make it a parameter; expected a class "
                f"attribute. Drop the annotation, or write {name}: ClassVar[...]."
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a plugin class, as `bench info` shows it."""

    name: str
    type: Any
    default: Any
    doc: str = ""
    above: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def expects(self) -> str:
        """The allowed values as text: ``float in [0, inf)``."""
        name = " or ".join(_words(option) for option in _options(self.type))
        if self.above is None and self.least is None and self.most is None:
            return name
        if self.above is not None:
            low = f"({self.above:g}"
        else:
            low = "(-inf" if self.least is None else f"[{self.least:g}"
        high = f"{self.most:g}]" if self.most is not None else "inf)"
        return f"{name} in {low}, {high}"

    @property
    def types(self) -> tuple[Any, ...]:
        """The plain types and Literals of which one is enough."""
        return _options(self.type)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a parameter that has finitely many of them; else none."""
        listed = (
            get_args(option) if get_origin(option) is Literal else (True, False) if option is bool else ()
            for option in _options(self.type)
        )
        return tuple(itertools.chain.from_iterable(listed))

    def accepts(self, value: object) -> bool:
        """Whether ``value`` has the declared type and lies within the bounds."""
        if not _has_type(value, self.type):
            return False
        if value is None or isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
            return True
        return (
            math.isfinite(value)  # a JSON record holds nothing else
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )


def parameters(cls: type, *, without: Sequence[str] = ("bits", "seed")) -> dict[str, Parameter]:
    """The parameters of a plugin class by name; ``bits`` and ``seed`` are the harness's.

    A type that neither the command line nor a record can hold is a :class:`ContractError`.
    """
    hints = typing.get_type_hints(cls)
    found = {}
    for f in dataclasses.fields(cls):
        if f.name in without or not f.init:
            continue
        declared = hints[f.name]
        if not supports(declared):
            raise ContractError(
                f"{cls.__name__}.{f.name} is declared {_words(declared)}; expected bool, int, float, str, "
                "Literal, None or several of them. Leave what is learned unannotated, constants ClassVar."
            )
        default = f.default if f.default is not dataclasses.MISSING else None
        keep = {k: f.metadata[k] for k in ("doc", "above", "least", "most") if k in f.metadata}
        found[f.name] = Parameter(f.name, declared, default, **keep)
    return found


def check(owner: str, values: Mapping[str, object], known: Mapping[str, Parameter]) -> None:
    """Raise :class:`ParameterError` at the first value that its parameter does not accept."""
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError(f"parameter of {owner}", name, known)
        if not known[name].accepts(value):
            raise ParameterError(f"{owner}: {name} must be {known[name].expects}; got {value!r}.")
        if isinstance(value, str) and value != known[name].default and not is_line(value):
            raise ParameterError(
                f"{owner}: {name} must be text in one line, of at most {MOST_TEXT} characters; got "
                f"{value[:40]!r}."
            )


def is_line(text: str) -> bool:
    """Whether a record can hold this text as a name or a value: printable, and not too long."""
    return text.isprintable() and len(text) <= MOST_TEXT


def check_instance(plugin: Any) -> None:
    """Raise :class:`ParameterError` at the first field of a plugin that its declaration does not accept."""
    known = parameters(type(plugin), without=())
    check(type(plugin).__name__, {name: getattr(plugin, name) for name in known}, known)


def parse(owner: str, parameter: Parameter, text: str) -> Any:
    """Read a value from the command line by the parameter's declared type.

    >>> parse("lcdh", Parameter("lambda1", float, 1.0), "0.1")
    0.1
    """
    value = _read(text, parameter.type)
    if not parameter.accepts(value):
        raise ParameterError(f"{owner}: {parameter.name} must be {parameter.expects}; got {text!r}.")
    return value


def number(text: str, kind: Any) -> Any:
    """Read an int or a float as it is written in a file: ASCII digits, without ``_``; else ValueError.

    >>> number("0.5", float)
    0.5
    """
    if not text.isascii() or "_" in text:
        raise ValueError(f"{text!r} is no number in ASCII digits")
    return kind(text)


def _options(declared: Any) -> tuple[Any, ...]:
    union = get_origin(declared) in (typing.Union, types.UnionType)
    return get_args(declared) if union else (declared,)


def supports(declared: Any) -> bool:
    """Whether both the command line and a record can hold values of a declared type."""
    plain = (bool, int, float, str, type(None))
    return all(option in plain or get_origin(option) is Literal for option in _options(declared))


def _words(option: Any) -> str:
    if option is type(None):
        return "none"
    if get_origin(option) is Literal:
        return "one of " + ", ".join(str(v) for v in get_args(option))
    if get_origin(option) is tuple:  # an option of a report
        return "names, separated by commas"
    return option.__name__ if isinstance(option, type) else str(option)


def _has_type(value: object, declared: Any) -> bool:
    for option in _options(declared):
        if get_origin(option) is Literal:
            if any(value == v and type(value) is type(v) for v in get_args(option)):
                return True
        elif isinstance(value, bool):  # which is an int to Python, and never meant as one
            if option is bool:
                return True
        elif isinstance(value, (int, float) if option is float else option):
            return True
    return False


def _read(text: str, declared: Any) -> Any:
    """``text`` as the first of the declared types that can read it, or ``text`` itself."""
    for option in sorted(_options(declared), key=lambda option: option is str):  # str reads anything
        if get_origin(option) is Literal:
            match = [v for v in get_args(option) if str(v) == text]
            if match:
                return match[0]
        elif option is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        elif option is type(None) and text.lower() == "none":
            return None
        elif option in (int, float):
            try:
                return number(text, option)
            except ValueError:
                continue
        elif option is str:
            return text
    return text
