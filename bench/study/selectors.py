"""Reads ``lcdh[lambda1=0.1,1],olsh``: names of plugins with values, or lists of values, of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bench.contract import params
from bench.errors import ParameterError, UnknownNameError
from bench.plugins import registry

Selected = tuple[str, dict[str, Any]]  # a plugin's name and the parameters that differ from its defaults


def split(text: str) -> list[str]:
    """Cut at the commas that stand outside brackets.

    >>> split("lcdh[lambda1=0.1,1],olsh")
    ['lcdh[lambda1=0.1,1]', 'olsh']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


def expand(kind: str, texts: Iterable[str]) -> list[Selected]:
    """Every combination of parameters that the selectors ask for, each checked and once."""
    found: dict[str, Selected] = {}
    for text in texts:
        for name, values in _expand_one(kind, text):
            found.setdefault(f"{name}{sorted(values.items())}", (name, values))
    return list(found.values())


def _expand_one(kind: str, text: str) -> Iterator[Selected]:
    name, bracket, inside = text.partition("[")
    if bracket and not inside.endswith("]"):
        raise ParameterError(f"selector {text!r} lacks the closing bracket. Write {name}[parameter=value].")
    cls = registry.get(kind, name.strip())
    known = params.parameters(cls, without=("bits", "seed") if kind == "method" else ())
    choices = _choices(name, inside[:-1]) if bracket else {}
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        yield name.strip(), _resolve(name, chosen, known, getattr(cls, "presets", {}))


def _choices(owner: str, inside: str) -> dict[str, list[str]]:
    """``lambda1=0.1,1,mode=x`` as ``{"lambda1": ["0.1", "1"], "mode": ["x"]}``."""
    found: dict[str, list[str]] = {}
    current = ""
    for part in inside.split(","):
        name, equals, value = part.partition("=")
        if equals:
            current = name.strip()
            found[current] = [value.strip()]
        elif current:
            found[current].append(part.strip())
        else:
            raise ParameterError(f"{owner}[{inside}]: {part!r} is not parameter=value.")
    return found


def _resolve(
    owner: str,
    chosen: Mapping[str, str],
    known: Mapping[str, params.Parameter],
    presets: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Typed values that differ from the defaults; a preset first, single values over it."""
    values: dict[str, Any] = {}
    if "preset" in chosen and "preset" not in known:
        if chosen["preset"] not in presets:
            raise UnknownNameError(f"preset of {owner}", chosen["preset"], presets)
        values.update(presets[chosen["preset"]])
    for name, text in chosen.items():
        if name in known:
            values[name] = params.parse(owner, known[name], text)
        elif name != "preset":
            raise UnknownNameError(f"parameter of {owner}", name, known)
    return {k: _same_type(v, known[k].type) for k, v in values.items() if v != known[k].default}


def _same_type(value: Any, declared: Any) -> Any:
    """A whole number where a float is declared as a float: 1 and 1.0 are one setting and one key."""
    return float(value) if declared is float else value
